package main

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Ruleset contains the connections that the policies of a cluster allow, as addresses and ports.
// [Compile] computes it from Kubernetes objects, and [Render] writes it for the kernel.
// Two kinds of connections are always allowed: those of a pod with itself, and those that the node opens.
type Ruleset struct {
	// Pods contains the pods that a policy isolates, ordered by name. Every other address is unrestricted.
	Pods []PodRules
}

// PodRules contains the rules for one pod.
// A connection between two pods must be allowed by both: egress of its source and ingress of its destination.
type PodRules struct {
	Name      string // namespace/name
	Addresses []netip.Addr
	Links     []string // the node's interfaces to the pod; empty: not known
	Ingress   Direction
	Egress    Direction
}

// Direction is one direction of a pod's traffic.
// Without isolation in this direction, all connections are allowed; with isolation, only those in Allows.
type Direction struct {
	Isolated bool
	Allows   []Allow
}

// Allow allows connections that match both its peers and its ports.
type Allow struct {
	Peers Peers
	Ports []PortRange // empty: every protocol and port
}

// Peers is the set of addresses at the other end: all addresses, or the union of single addresses and blocks.
type Peers struct {
	Anyone    bool
	Addresses []netip.Addr // sorted, without duplicates
	Blocks    []Block
}

// Block is a range of addresses without the ranges in Except.
type Block struct {
	Range  netip.Prefix
	Except []netip.Prefix
}

// PortRange is the ports First to Last, both included, of one protocol.
type PortRange struct {
	Protocol    corev1.Protocol
	First, Last uint16
}

// lastPort is the end of the range that represents every port of a protocol.
const lastPort = 65535

// Linked adds the node's interfaces to each pod, by namespace/name.
func (r Ruleset) Linked(links map[string][]string) Ruleset {
	linked := Ruleset{Pods: slices.Clone(r.Pods)}
	for number, pod := range linked.Pods {
		linked.Pods[number].Links = links[pod.Name]
	}
	return linked
}

// empty reports whether the set has no addresses.
func (p Peers) empty() bool {
	return !p.Anyone && len(p.Addresses) == 0 && len(p.Blocks) == 0
}

// Contains reports whether the address is in the block and in none of its exceptions.
func (b Block) Contains(address netip.Addr) bool {
	if !b.Range.Contains(address) {
		return false
	}
	for _, except := range b.Except {
		if except.Contains(address) {
			return false
		}
	}
	return true
}
