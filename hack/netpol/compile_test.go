package main

import (
	"math/rand"
	"reflect"
	"testing"
)

func TestTheCompilerAgreesWithTheTruthTable(t *testing.T) {
	for _, row := range truthTable {
		t.Run(row.name, func(t *testing.T) {
			ruleset := Compile(worldPods(), worldNamespaces(), readPolicies(t, row.policies))
			for _, text := range row.allowed {
				if !ruleset.permits(readConnection(t, text).packet(), addresses["node"]) {
					t.Errorf("%s is refused", text)
				}
			}
			for _, text := range row.refused {
				if ruleset.permits(readConnection(t, text).packet(), addresses["node"]) {
					t.Errorf("%s is allowed", text)
				}
			}
		})
	}
}

func TestTheOrderOfObjectsDoesNotChangeTheScript(t *testing.T) {
	for _, row := range truthTable {
		pods, namespaces, policies := worldPods(), worldNamespaces(), readPolicies(t, row.policies)
		want := Render(Compile(pods, namespaces, policies))
		shuffle(pods)
		shuffle(namespaces)
		shuffle(policies)
		if got := Render(Compile(pods, namespaces, policies)); got != want {
			t.Errorf("%s: another order gives\n%s\ninstead of\n%s", row.name, got, want)
		}
	}
}

func TestCompilingLeavesTheSharedObjectsAlone(t *testing.T) {
	pods, order := worldPods(), worldPods()
	for _, row := range truthTable {
		Compile(pods, worldNamespaces(), readPolicies(t, row.policies))
	}
	if !reflect.DeepEqual(pods, order) {
		t.Error("the pods are no longer what they were")
	}
}

func shuffle[T any](objects []T) {
	rand.Shuffle(len(objects), func(i, j int) { objects[i], objects[j] = objects[j], objects[i] })
}
