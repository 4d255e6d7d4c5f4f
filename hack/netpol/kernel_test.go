package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func TestTheKernelAgreesWithTheTruthTable(t *testing.T) {
	world := newLab(t)
	for _, row := range truthTable {
		t.Run(row.name, func(t *testing.T) {
			world.load(t, Render(Compile(worldPods(), worldNamespaces(), readPolicies(t, row.policies))))
			for _, text := range slices.Concat(row.allowed, row.refused) {
				attempt := readConnection(t, text)
				if attempt.protocol == corev1.ProtocolSCTP {
					continue // few kernels have SCTP sockets; only the loading of its rules is tested
				}
				want := slices.Contains(row.allowed, text)
				if allowed, err := world.try(attempt); err != nil {
					t.Errorf("%s: neither let through nor refused: %v", text, err)
				} else if allowed != want {
					t.Errorf("%s: let through is %t, want %t", text, allowed, want)
				}
			}
		})
	}
}

func TestAnOpenConnectionOutlivesANewPolicy(t *testing.T) {
	world := newLab(t)
	attempt := readConnection(t, "bank/web shop/web:8000")
	world.load(t, Render(Ruleset{}))
	opened, err := world.open(attempt)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close() //nolint:errcheck // nothing was written that could be lost
	if err := exchange(opened, hung); err != nil {
		t.Fatal(err)
	}
	policies := readPolicies(t, []string{"shop: {podSelector: {}, policyTypes: [Ingress, Egress]}"})
	world.load(t, Render(Compile(worldPods(), worldNamespaces(), policies)))
	if err := exchange(opened, hung); err != nil {
		t.Errorf("the open connection: %v", err)
	}
	if allowed, err := world.try(attempt); allowed || err != nil {
		t.Errorf("a new connection: let through is %t (%v), want a refusal", allowed, err)
	}
}

func TestTheLinkOfAPodIsThePodsWhateverItsAddress(t *testing.T) {
	world := newLab(t)
	world.patience = 200 * time.Millisecond // for a response that never comes
	for _, row := range []struct {
		policy    string
		web, cart bool
	}{
		{"shop: {podSelector: {}, policyTypes: [Ingress]}", true, true},
		{"shop: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}", false, true},
		{"shop: {podSelector: {}, policyTypes: [Ingress, Egress]}", false, false},
	} {
		rules := Compile(worldPods(), worldNamespaces(), readPolicies(t, []string{row.policy})).Linked(world.links)
		world.load(t, Render(rules))
		for pod, want := range map[string]bool{"shop/web": row.web, "shop/cart": row.cart} {
			for _, destination := range []string{" node@link:8000", " node@link:5353/udp"} {
				if allowed := world.passes(readConnection(t, pod+"@link"+destination)); allowed != want {
					t.Errorf("%s%s with %s: let through is %t, want %t", pod, destination, row.policy, allowed, want)
				}
			}
		}
	}
}

func TestRemovalLeavesNoTable(t *testing.T) {
	world := newLab(t)
	world.load(t, Render(Ruleset{}))
	world.load(t, Removal)
	world.load(t, Removal) // and again, without a table
	if tables := world.tables(t); strings.Contains(tables, table) {
		t.Errorf("the tables are still %s", tables)
	}
}
