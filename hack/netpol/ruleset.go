package main

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
)

// Ruleset says which connections the policies of a cluster let through, in terms of addresses and ports alone.
// It is what [Compile] makes of Kubernetes objects and what [Render] writes for the kernel.
// Two connections pass whatever it says: one of a pod with itself, and one that the node itself opens.
type Ruleset struct {
	// Pods holds the pods that some policy isolates, ordered by name. Every other address is unrestricted.
	Pods []PodRules
}

// PodRules is what the policies say about one pod.
// A connection between two pods needs the leave of both: egress of its source and ingress of its destination.
type PodRules struct {
	Name      string // namespace/name
	Addresses []netip.Addr
	Ingress   Direction
	Egress    Direction
}

// Direction is one way of traffic of one pod.
// A pod that no policy isolates in this direction takes part in everything; an isolated one only in what Allows lists.
type Direction struct {
	Isolated bool
	Allows   []Allow
}

// Allow lets connections through that match both its peers and its ports.
type Allow struct {
	Peers Peers
	Ports []PortRange // empty: every protocol and port
}

// Peers is the set of addresses at the other end: all of them, or the union of single addresses and blocks.
type Peers struct {
	Anyone    bool
	Addresses []netip.Addr // ordered, without repeats
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

// lastPort ends the range that stands for every port of a protocol.
const lastPort = 65535

// empty tells that no address at all is meant.
func (p Peers) empty() bool {
	return !p.Anyone && len(p.Addresses) == 0 && len(p.Blocks) == 0
}

// Contains tells whether the address is in the block and in none of its exceptions.
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
