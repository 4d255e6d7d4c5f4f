package main

import (
	"net/netip"
	"slices"

	networkingv1 "k8s.io/api/networking/v1"
)

// peers resolves the from or to of a rule; a rule without peers applies to all addresses.
func (c compiler) peers(namespace string, list []networkingv1.NetworkPolicyPeer) Peers {
	peers := Peers{Anyone: len(list) == 0}
	for _, peer := range list {
		if peer.IPBlock != nil {
			peers.Blocks = append(peers.Blocks, blocks(peer.IPBlock)...)
			continue
		}
		for _, candidate := range c.endpoints {
			if isPeer(peer, namespace, candidate) {
				peers.Addresses = append(peers.Addresses, candidate.addresses...)
			}
		}
	}
	slices.SortFunc(peers.Addresses, netip.Addr.Compare)
	peers.Addresses = slices.Compact(peers.Addresses)
	return peers
}

// isPeer reports whether a peer's selectors match the pod. If both are set, both must match;
// a pod selector alone applies to the policy's namespace; the API server rejects a peer without selectors.
func isPeer(peer networkingv1.NetworkPolicyPeer, namespace string, candidate endpoint) bool {
	if peer.NamespaceSelector == nil {
		return candidate.pod.Namespace == namespace && selects(peer.PodSelector, candidate.pod.Labels)
	}
	inNamespace := selects(peer.NamespaceSelector, candidate.namespaceLabels)
	return inNamespace && (peer.PodSelector == nil || selects(peer.PodSelector, candidate.pod.Labels))
}

// blocks reads an ipBlock: one block, or none if its range is invalid (which the API server rejects).
func blocks(ipBlock *networkingv1.IPBlock) []Block {
	prefix, err := netip.ParsePrefix(ipBlock.CIDR)
	if err != nil {
		return nil
	}
	block := Block{Range: prefix.Masked()}
	for _, text := range ipBlock.Except {
		if except, err := netip.ParsePrefix(text); err == nil {
			block.Except = append(block.Except, except.Masked())
		}
	}
	return []Block{block}
}

// contains reports whether the address is one of the peers.
func (p Peers) contains(address netip.Addr) bool {
	return p.Anyone || slices.Contains(p.Addresses, address) ||
		slices.ContainsFunc(p.Blocks, func(block Block) bool { return block.Contains(address) })
}
