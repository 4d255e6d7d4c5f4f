package main

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// table is the one nftables table that this program owns.
const table = "inet triton_operator_netpol"

// Removal is the nft script that removes the table, if it exists.
const Removal = "add table " + table + "\ndelete table " + table + "\n"

// fixedChains do not depend on the policies.
//
// The node routes all traffic between pods, so it passes the forward hook. The filter priority is after destination
// NAT, where services are already resolved to pods.
// Traffic from a pod to the node itself does not pass the forward hook: the input hook filters its egress.
// Traffic from the node passes neither hook, so the kubelet's probes are always allowed.
//
// Neighbour discovery is the IPv6 equivalent of ARP, to which policies do not apply.
// Everything else that arrives on the link of a pod is the pod's, whatever its source address: the kernel gives each
// link an IPv6 address, with which a pod could reach programs of the node that listen on all addresses.
// A refused connection gets an immediate response, so that the caller does not wait for its timeout. There is none to the
// address on a link, because it would be sent over any of the links.
const fixedChains = `
	chain forward {
		type filter hook forward priority filter; policy accept;
		jump known
		jump egress
		jump ingress
	}
	chain input {
		type filter hook input priority filter; policy accept;
		jump known
		jump egress
	}
	chain known {
		ct state established,related accept
		icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert } accept
	}
	chain refuse {
		ip6 saddr fe80::/10 drop
		meta l4proto tcp reject with tcp reset
		reject with icmpx type admin-prohibited
	}
`

// Render writes the nft script that replaces the previous ruleset, in one transaction.
func Render(ruleset Ruleset) string {
	var text strings.Builder
	text.WriteString(Removal)
	fmt.Fprintf(&text, "table %s {%s", table, fixedChains)
	renderWay(&text, ruleset, way{"egress", "iifname", "saddr", "daddr", func(pod PodRules) Direction { return pod.Egress }})
	renderWay(&text, ruleset, way{"ingress", "", "daddr", "saddr", func(pod PodRules) Direction { return pod.Ingress }})
	text.WriteString("}\n")
	return text.String()
}

// way is one of the two directions: its name, the packet fields with the pod's link (empty: no rules by link), with the
// pod's and the peer's address, and where its rules are.
type way struct {
	name, link, pod, peer string
	of                    func(PodRules) Direction
}

// renderWay writes one chain per isolated pod, which returns for allowed packets,
// and the chain that selects it by the pod's link and address.
func renderWay(text *strings.Builder, ruleset Ruleset, w way) {
	entries := map[string][]string{} // packet field -> "value : jump chain"
	for number, pod := range ruleset.Pods {
		direction := w.of(pod)
		if !direction.Isolated {
			continue
		}
		chain := fmt.Sprintf("%s_%d", w.name, number)
		own := Allow{Peers: Peers{Addresses: pod.Addresses}} // no policy blocks a pod's connections to itself
		lines := allowLines(append([]Allow{own}, direction.Allows...), w.peer)
		renderChain(text, chain, pod.Name, append(lines, "jump refuse"))
		for _, address := range pod.Addresses {
			field := familyOf(address) + " " + w.pod
			entries[field] = append(entries[field], fmt.Sprintf("%s : jump %s", address, chain))
		}
		if w.link != "" {
			for _, link := range pod.Links {
				entries[w.link] = append(entries[w.link], fmt.Sprintf("%q : jump %s", link, chain))
			}
		}
	}
	var lines []string
	for _, field := range slices.Sorted(maps.Keys(entries)) {
		lines = append(lines, fmt.Sprintf("%s vmap { %s }", field, strings.Join(entries[field], ", ")))
	}
	renderChain(text, w.name, "", lines)
}

// renderChain writes a chain; the comment, a pod's name, is truncated to nft's limit.
func renderChain(text *strings.Builder, name, comment string, lines []string) {
	const longestComment = 127
	fmt.Fprintf(text, "\tchain %s {\n", name)
	if comment != "" {
		fmt.Fprintf(text, "\t\tcomment %q\n", comment[:min(len(comment), longestComment)])
	}
	for _, line := range lines {
		fmt.Fprintf(text, "\t\t%s\n", line)
	}
	text.WriteString("\t}\n")
}

// allowLines writes, for each allow, one rule per kind of peer and protocol.
func allowLines(allows []Allow, field string) []string {
	var lines []string
	for _, allow := range allows {
		for _, peer := range peerMatches(allow.Peers, field) {
			for _, port := range portMatches(allow.Ports) {
				lines = append(lines, strings.Join(strings.Fields(peer+" "+port+" return"), " "))
			}
		}
	}
	return lines
}

// peerMatches writes one match per address family and block; the empty match is every address.
func peerMatches(peers Peers, field string) []string {
	if peers.Anyone {
		return []string{""}
	}
	addresses := map[string][]string{}
	for _, address := range peers.Addresses {
		addresses[familyOf(address)] = append(addresses[familyOf(address)], address.String())
	}
	var matches []string
	for _, family := range slices.Sorted(maps.Keys(addresses)) {
		matches = append(matches, fmt.Sprintf("%s %s { %s }", family, field, strings.Join(addresses[family], ", ")))
	}
	for _, block := range peers.Blocks {
		matches = append(matches, blockMatch(block, field))
	}
	return matches
}

// blockMatch writes a block as one match per range, because a set rejects overlapping exceptions.
func blockMatch(block Block, field string) string {
	family := familyOf(block.Range.Addr())
	match := fmt.Sprintf("%s %s %s", family, field, block.Range)
	for _, except := range block.Except {
		match += fmt.Sprintf(" %s %s != %s", family, field, except)
	}
	return match
}

// portMatches writes one match per protocol; the empty match is every port.
func portMatches(ports []PortRange) []string {
	if len(ports) == 0 {
		return []string{""}
	}
	byProtocol := map[corev1.Protocol][]string{}
	for _, port := range ports {
		byProtocol[port.Protocol] = append(byProtocol[port.Protocol], fmt.Sprintf("%d-%d", port.First, port.Last))
	}
	var matches []string
	for _, protocol := range slices.Sorted(maps.Keys(byProtocol)) {
		name := strings.ToLower(string(protocol))
		matches = append(matches, fmt.Sprintf("%s dport { %s }", name, strings.Join(byProtocol[protocol], ", ")))
	}
	return matches
}

// familyOf is nft's name for the address family.
func familyOf(address netip.Addr) string {
	if address.Is4() {
		return "ip"
	}
	return "ip6"
}
