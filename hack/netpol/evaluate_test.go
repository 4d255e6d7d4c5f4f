package main

import (
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// packet is the first packet of a connection.
type packet struct {
	source, destination netip.Addr
	protocol            corev1.Protocol
	port                uint16
}

// permits evaluates a ruleset without nftables: whether the connection is allowed on a node with this address.
func (r Ruleset) permits(p packet, node netip.Addr) bool {
	if p.source == p.destination || p.source == node {
		return true
	}
	return r.of(p.source).Egress.permits(p.destination, p) && r.of(p.destination).Ingress.permits(p.source, p)
}

// of finds the rules of the pod with this address; any other address has none.
func (r Ruleset) of(address netip.Addr) PodRules {
	for _, pod := range r.Pods {
		if slices.Contains(pod.Addresses, address) {
			return pod
		}
	}
	return PodRules{}
}

func (d Direction) permits(peer netip.Addr, p packet) bool {
	return !d.Isolated || slices.ContainsFunc(d.Allows, func(allow Allow) bool {
		return allow.Peers.contains(peer) && allow.covers(p)
	})
}

func (a Allow) covers(p packet) bool {
	return len(a.Ports) == 0 || slices.ContainsFunc(a.Ports, func(ports PortRange) bool {
		return ports.Protocol == p.protocol && ports.First <= p.port && p.port <= ports.Last
	})
}
