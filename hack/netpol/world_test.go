package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// The world of every test: two namespaces with two pods each, the node, and an outside host with two addresses.
// A name with @6 is the IPv6 address of the same pod, and one with @link is the address on the link to the node,
// which is the second interface of a pod (Go remembers the numbers of names, which differ between networks).
var addresses = map[string]netip.Addr{
	"shop/web":       netip.MustParseAddr("10.244.0.11"),
	"shop/web@6":     netip.MustParseAddr("fd00:244::11"),
	"shop/cart":      netip.MustParseAddr("10.244.0.12"),
	"shop/cart@6":    netip.MustParseAddr("fd00:244::12"),
	"bank/web":       netip.MustParseAddr("10.244.0.21"),
	"bank/web@6":     netip.MustParseAddr("fd00:244::21"),
	"bank/teller":    netip.MustParseAddr("10.244.0.22"),
	"bank/teller@6":  netip.MustParseAddr("fd00:244::22"),
	"node":           netip.MustParseAddr("10.99.0.1"),
	"outside":        netip.MustParseAddr("192.0.2.10"),
	"shop/web@link":  netip.MustParseAddr("fe80::2%2"),
	"shop/cart@link": netip.MustParseAddr("fe80::2%2"),
	"node@link":      netip.MustParseAddr("fe80::1%2"),
	"outside-other":  netip.MustParseAddr("192.0.2.77"),
}

// The Service "service" of shop/web maps its ports 80 to 8000 and, by UDP, 53 to 5353.
var (
	serviceAddress = netip.MustParseAddr("10.96.0.80")
	servicePorts   = map[uint16]uint16{80: 8000, 53: 5353}
)

func worldNamespaces() []*corev1.Namespace {
	return []*corev1.Namespace{
		{ObjectMeta: metav1.ObjectMeta{Name: "shop", Labels: map[string]string{"team": "sales"}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "bank", Labels: map[string]string{"team": "money", "audited": "yes"}}},
	}
}

func worldPods() []*corev1.Pod {
	always := corev1.ContainerRestartPolicyAlways
	agent := newPod("shop/agent", "agent", addresses["node"])
	agent.Spec.HostNetwork = true
	done := newPod("shop/done", "done", addresses["bank/web"], addresses["bank/web@6"])
	done.Status.Phase = corev1.PodSucceeded
	stale := newPod("shop/stale", "stale", addresses["bank/teller"], addresses["bank/teller@6"])
	stale.CreationTimestamp = metav1.NewTime(stale.CreationTimestamp.Add(-time.Hour))
	starting := newPod("shop/starting", "starting")
	web := newPod("shop/web", "web", addresses["shop/web"], addresses["shop/web@6"])
	web.Spec.Containers = []corev1.Container{
		{Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8000}, {Name: "dns", ContainerPort: 5353, Protocol: corev1.ProtocolUDP}}},
		{Ports: []corev1.ContainerPort{{Name: "metrics", ContainerPort: 8002, Protocol: corev1.ProtocolTCP}}},
	}
	cart := newPod("shop/cart", "cart", addresses["shop/cart"], addresses["shop/cart@6"])
	cart.Spec.Containers = []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8001}}}}
	bankWeb := newPod("bank/web", "web", addresses["bank/web"], addresses["bank/web@6"])
	teller := newPod("bank/teller", "teller", addresses["bank/teller"], addresses["bank/teller@6"])
	teller.Spec.InitContainers = []corev1.Container{
		{Ports: []corev1.ContainerPort{{Name: "once", ContainerPort: 8001}}},
		{Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8002}}, RestartPolicy: &always},
	}
	return []*corev1.Pod{teller, done, web, agent, stale, cart, starting, bankWeb}
}

func newPod(name, app string, podAddresses ...netip.Addr) *corev1.Pod {
	namespace, name, _ := strings.Cut(name, "/")
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: name, Labels: map[string]string{"app": app},
		CreationTimestamp: metav1.NewTime(time.Unix(1_750_000_000, 0)),
	}}
	pod.Status.Phase = corev1.PodRunning
	for _, address := range podAddresses {
		pod.Status.PodIPs = append(pod.Status.PodIPs, corev1.PodIP{IP: address.String()})
	}
	return pod
}

// readPolicies reads policies written as one line of YAML each: "namespace: {spec}".
func readPolicies(t *testing.T, texts []string) []*networkingv1.NetworkPolicy {
	t.Helper()
	var policies []*networkingv1.NetworkPolicy
	for number, text := range texts {
		var specs map[string]networkingv1.NetworkPolicySpec
		if err := yaml.UnmarshalStrict([]byte(text), &specs); err != nil {
			t.Fatalf("policy %q: %v", text, err)
		}
		for namespace, spec := range specs {
			meta := metav1.ObjectMeta{Namespace: namespace, Name: fmt.Sprintf("policy-%d", number)}
			policies = append(policies, &networkingv1.NetworkPolicy{ObjectMeta: meta, Spec: spec})
		}
	}
	return policies
}

// connection is one attempt of the truth table: "source destination:port", with /udp or /sctp for those protocols.
type connection struct {
	source, destination string
	protocol            corev1.Protocol
	port                uint16
}

func readConnection(t *testing.T, text string) connection {
	t.Helper()
	source, rest, _ := strings.Cut(text, " ")
	destination, rest, _ := strings.Cut(rest, ":")
	number, protocol, given := strings.Cut(rest, "/")
	if !given {
		protocol = "tcp"
	}
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil || !addresses[source].IsValid() || (!addresses[destination].IsValid() && destination != "service") {
		t.Fatalf("connection %q: unknown port, source or destination", text)
	}
	return connection{source, destination, corev1.Protocol(strings.ToUpper(protocol)), uint16(port)}
}

// target is the destination of the connection before services are resolved.
func (c connection) target() netip.AddrPort {
	if c.destination == "service" {
		return netip.AddrPortFrom(serviceAddress, c.port)
	}
	return netip.AddrPortFrom(addresses[c.destination], c.port)
}

// packet is the connection after services are resolved, to which policies apply.
func (c connection) packet() packet {
	if c.destination == "service" {
		return packet{addresses[c.source], addresses["shop/web"], c.protocol, servicePorts[c.port]}
	}
	return packet{addresses[c.source], addresses[c.destination], c.protocol, c.port}
}
