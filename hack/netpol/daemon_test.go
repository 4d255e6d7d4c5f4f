package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// TestMain allows starting the test program as netpol itself, in a separate network.
func TestMain(m *testing.M) {
	if os.Getenv("RUN_AS_NETPOL") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// daemon is a netpol that runs on the node of a lab.
type daemon struct {
	command *exec.Cmd
	log     *lockedBuffer
}

func startDaemon(t *testing.T, world *lab, arguments ...string) daemon {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	d := daemon{exec.Command(program, append(arguments, "--nft", world.nft)...), &lockedBuffer{}}
	d.command.Env = append(os.Environ(), "RUN_AS_NETPOL=1")
	d.command.Stderr = d.log
	world.node.must(t, d.command.Start)
	t.Cleanup(func() {
		if d.command.ProcessState == nil {
			_ = d.command.Process.Kill()
			_ = d.command.Wait()
		}
		if t.Failed() {
			t.Logf("netpol said:\n%s", d.log)
		}
	})
	return d
}

// stop terminates the daemon as a supervisor would; it must exit with status 0.
func (d daemon) stop(t *testing.T) {
	t.Helper()
	if err := d.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := d.command.Wait(); err != nil {
		t.Errorf("netpol ended with %v", err)
	}
}

func TestTheDaemonFollowsTheCluster(t *testing.T) {
	world := newLab(t)
	world.load(t, "table "+table+" { chain left_by_an_earlier_run { }; }")
	api, kubeconfig := serveAPI(t, world.node)
	for _, namespace := range worldNamespaces() {
		api.add(namespace)
	}
	for _, pod := range worldPods() {
		if pod.Name != "cart" {
			api.add(pod)
		}
	}
	api.add(readPolicies(t, []string{"shop: {podSelector: {}, policyTypes: [Ingress]}"})[0])
	results := filepath.Join(t.TempDir(), "results")
	running := startDaemon(t, world, "--kubeconfig", kubeconfig, "--cni-results", results)

	world.await(t, "bank/web shop/web:8000", false)
	if listing := world.tables(t); strings.Contains(listing, "left_by_an_earlier_run") {
		t.Errorf("the earlier run's rules are still there: %s", listing)
	}

	opening := readPolicies(t, []string{"shop: {podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}"})[0]
	opening.Name = "opening"
	api.add(opening)
	world.await(t, "bank/web shop/web:8000", true)

	// The pod's status has no address yet, so the address comes from the container runtime's result.
	world.await(t, "shop/cart shop/web:8000", false)
	cart := newPod("shop/cart", "cart")
	cart.UID = "the-uid-of-cart"
	cart.Status = corev1.PodStatus{Phase: corev1.PodPending}
	api.add(cart)
	writeResult(t, results, string(cart.UID), addresses["shop/cart"].String(), world.links["shop/cart"][0])
	world.await(t, "shop/cart shop/web:8000", true)

	// The link comes from the same result.
	world.await(t, "shop/cart@link node@link:8000", true)
	closing := readPolicies(t, []string{"shop: {podSelector: {matchLabels: {app: cart}}, policyTypes: [Egress]}"})[0]
	closing.Name = "closing"
	api.add(closing)
	world.patience = 200 * time.Millisecond // for a response that never comes
	for deadline := time.Now().Add(20 * time.Second); world.passes(readConnection(t, "shop/cart@link node@link:8000")); {
		if time.Now().After(deadline) {
			t.Fatal("the policy does not apply to the link of the pod")
		}
	}

	running.stop(t)
	if tables := world.tables(t); strings.Contains(tables, table) {
		t.Errorf("the table is still there: %s", tables)
	}
	world.await(t, "outside shop/web:8000", true)
}

func TestOnlyChangesAreApplied(t *testing.T) {
	rulesets := make(chan Ruleset) // each value is the result of one compilation
	scripts := make(chan string, 10)
	failures := 1
	e := enforcer{
		desired: func() Ruleset { return <-rulesets },
		apply: func(_ context.Context, script string) error {
			if failures > 0 {
				failures--
				return errors.New("the kernel is busy")
			}
			scripts <- script
			return nil
		},
		log: slog.New(slog.DiscardHandler),
	}
	ctx, cancel := context.WithCancel(t.Context())
	changed, ended := newNotice(), make(chan struct{})
	go func() { defer close(ended); e.run(ctx, changed) }()
	before := Ruleset{}
	after := Ruleset{Pods: []PodRules{{Name: "shop/web", Ingress: Direction{Isolated: true}}}}
	changed.send()
	rulesets <- before // fails
	rulesets <- before // the retry, which no other notice causes
	changed.send()
	rulesets <- before // nothing has changed
	changed.send()
	rulesets <- after
	for number, want := range []string{Render(before), Render(after)} {
		if got := <-scripts; got != want {
			t.Errorf("script %d is\n%s\nwant\n%s", number, got, want)
		}
	}
	cancel()
	<-ended
}

// await retries the connection until it is allowed, or refused, as expected.
func (l *lab) await(t *testing.T, text string, want bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		if allowed, err := l.try(readConnection(t, text)); err == nil && allowed == want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s: let through is still %t", text, !want)
}

// tables lists the nftables tables on the node.
func (l *lab) tables(t *testing.T) string {
	t.Helper()
	var output []byte
	l.node.must(t, func() (err error) {
		output, err = exec.Command(l.nft, "list", "ruleset").Output()
		return err
	})
	return string(output)
}

// writeResult writes a file as libcni caches a result, with the fields that are read.
func writeResult(t *testing.T, folder, uid, address, link string) {
	t.Helper()
	content := `{"kind": "cniCacheV1", "containerId": "c1", "ifName": "eth0", "networkName": "pods",
		"cniArgs": [["K8S_POD_NAMESPACE", "shop"], ["K8S_POD_UID", "` + uid + `"]],
		"result": {"cniVersion": "1.0.0", "interfaces": [{"name": "` + link + `"}, {"name": "eth0", "sandbox": "/run/n"}],
			"ips": [{"address": "` + address + `/24", "gateway": "10.244.0.1", "interface": 2}]}}`
	if err := os.WriteFile(filepath.Join(folder, "pods-c1-eth0"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// lockedBuffer collects what a program writes while a test reads it.
type lockedBuffer struct {
	lock    sync.Mutex
	content bytes.Buffer
}

func (b *lockedBuffer) Write(content []byte) (int, error) {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.content.Write(content)
}

func (b *lockedBuffer) String() string {
	b.lock.Lock()
	defer b.lock.Unlock()
	return b.content.String()
}
