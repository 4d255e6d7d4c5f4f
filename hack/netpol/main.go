// Netpol enforces the NetworkPolicies of a cluster of one node: the local test node, whose network plugin does not
// support policies. It is a tool for tests and the demo, and not part of the operator.
//
//	netpol --kubeconfig PATH [--nft PATH] [--cni-results FOLDER]
//
// It runs as root in the node's network namespace, watches Pods, Namespaces and NetworkPolicies, and keeps one nftables
// table (inet triton_operator_netpol) in sync with them. [Compile] converts objects to a [Ruleset], and [Render]
// converts it to a script for nft; both are pure. A script is applied as one transaction, and only if it differs from
// the last one. A table of an earlier run is replaced, and SIGTERM removes it.
//
// Each pod must have its own link to the node (the CNI plugin ptp), so that the node routes their traffic. On a bridge,
// the response to a refused connection through a service would lack the service's address, and callers would hang.
//
// Everything of networking.k8s.io/v1 is supported. Refused connections fail immediately (reset, or
// ICMP administratively prohibited). Policies apply to addresses after services are resolved. Open connections stay
// open when a policy changes, a pod can always connect to itself, and traffic from the node is always allowed.
//
// Tests: `NFT=/path/to/nft go test .` as root; without root or nft, tests that need a network are skipped.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// removalLimit is the time limit for removing the table at the end.
const removalLimit = 5 * time.Second

type options struct {
	kubeconfig, nft, cniResults string
}

func main() {
	var chosen options
	flag.StringVar(&chosen.kubeconfig, "kubeconfig", "", "kubeconfig `file` of the cluster (required)")
	flag.StringVar(&chosen.nft, "nft", "nft", "the nft `program`")
	flag.StringVar(&chosen.cniResults, "cni-results", "/var/lib/cni/results",
		"`folder` where the container runtime keeps network results; empty: wait for addresses in pod status")
	flag.Parse()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, chosen, log); err != nil {
		log.Error(err.Error())
		os.Exit(1)
	}
}

// run enforces policies until the context ends, then removes the table.
func run(ctx context.Context, chosen options, log *slog.Logger) error {
	client, err := connect(chosen.kubeconfig)
	if err != nil {
		return err
	}
	changed := newNotice()
	sandboxes, err := watchSandboxes(ctx, chosen.cniResults, changed)
	if err != nil {
		return err
	}
	state, err := watchCluster(ctx, client, changed)
	if err != nil {
		return err
	}
	desired := func() Ruleset {
		pods, namespaces, policies := state.objects()
		return Compile(sandboxes.complete(pods), namespaces, policies).Linked(sandboxes.links(pods))
	}
	program := nft{chosen.nft}
	changed.send()
	enforcer{desired, program.run, log}.run(ctx, changed)
	ending, cancel := context.WithTimeout(context.Background(), removalLimit)
	defer cancel()
	log.Info("removing the rules")
	return program.run(ending, Removal)
}

// connect creates a client from a kubeconfig file.
func connect(kubeconfig string) (kubernetes.Interface, error) {
	if kubeconfig == "" {
		return nil, fmt.Errorf("--kubeconfig is missing; set it to the kubeconfig file of the cluster")
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("--kubeconfig %s: %w", kubeconfig, err)
	}
	return kubernetes.NewForConfig(config)
}
