package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"golang.org/x/sys/unix"
)

// hung is the maximum time for a connection to be opened or refused; the lab itself needs about a millisecond.
const hung = 3 * time.Second

// labPorts are the ports on which every pod, the node and the outside host listen, with TCP and UDP.
var labPorts = []uint16{5353, 8000, 8001, 8002, 8003, 8443}

// netns is a private network of the test. It ends with the last descriptor, so nothing is left behind.
type netns struct {
	file *os.File
}

// lab is the world of the truth table on a real network: a node, pods and an outside host linked to it, a service.
type lab struct {
	nft      string
	node     netns
	sites    map[string]netns    // by the name of an address
	links    map[string][]string // the node's interfaces to pods
	next     uint16              // the local port of the next attempt; each is used once, so that no attempt matches an old flow
	patience time.Duration       // how long an attempt waits for a response
}

// newLab builds the world, or skips the test if the user or the machine does not support it.
func newLab(t *testing.T) *lab {
	t.Helper()
	program := os.Getenv("NFT")
	if program == "" {
		program = "nft"
	}
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("needs the nft program: name it in the environment variable NFT (%v)", err)
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, for private networks")
	}
	l := &lab{nft: path, node: newNetns(t), sites: map[string]netns{}, links: map[string][]string{}, patience: hung, next: 20000}
	l.sites["node"], l.sites["node@link"] = l.node, l.node
	l.node.shell(t, `
		ip link set lo up; ip addr add 10.99.0.1/32 dev lo
		echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
		# The kernel sends few ICMP errors a second to one peer; the test provokes more.
		echo 0 > /proc/sys/net/ipv4/icmp_ratelimit; echo 0 > /proc/sys/net/ipv6/icmp/ratelimit`)
	for number, pod := range []string{"shop/web", "shop/cart", "bank/web", "bank/teller"} {
		cable := fmt.Sprintf("pod%d", number)
		l.plug(t, cable, []string{"10.244.0.1", "fd00:244::1"}, pod, pod+"@6")
		l.addLink(t, cable, pod)
	}
	l.plug(t, "world", []string{"192.0.2.1"}, "outside", "outside-other")
	l.addService(t)
	l.serve(t)
	return l
}

// plug creates a network, links it to the node by an interface of this name, as the CNI plugin ptp does, and assigns
// addresses.
func (l *lab) plug(t *testing.T, cable string, gateways []string, names ...string) {
	t.Helper()
	site := newNetns(t)
	handle := fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), site.file.Fd())
	l.node.shell(t, fmt.Sprintf("ip link add %s type veth peer name eth0 netns %s; ip link set %s up", cable, handle, cable))
	site.shell(t, "ip link set lo up; ip link set eth0 up")
	for _, name := range names {
		site.shell(t, fmt.Sprintf("ip addr add %s dev eth0 %s", addresses[name], withoutDetection(addresses[name])))
		l.sites[name] = site
	}
	for _, gateway := range gateways {
		options := withoutDetection(netip.MustParseAddr(gateway))
		l.node.shell(t, fmt.Sprintf("ip addr add %s dev %s %s", gateway, cable, options))
		site.shell(t, fmt.Sprintf("ip route add %s dev eth0; ip route add default via %s", gateway, gateway))
	}
	for _, name := range names {
		l.node.shell(t, fmt.Sprintf("ip route add %s dev %s", addresses[name], cable))
	}
}

// addLink assigns link-local addresses, as the kernel does after it has detected that nobody else has them.
func (l *lab) addLink(t *testing.T, cable, pod string) {
	t.Helper()
	l.node.shell(t, fmt.Sprintf("ip addr add fe80::1/64 dev %s nodad", cable))
	l.sites[pod].shell(t, "ip addr add fe80::2/64 dev eth0 nodad")
	l.sites[pod+"@link"], l.links[pod] = l.sites[pod], []string{cable}
}

// withoutDetection makes an IPv6 address usable immediately, without duplicate address detection.
func withoutDetection(address netip.Addr) string {
	if address.Is6() {
		return "nodad"
	}
	return ""
}

// addService does what kube-proxy does for a service: its address is replaced by a pod's before any filter.
func (l *lab) addService(t *testing.T) {
	t.Helper()
	web := addresses["shop/web"]
	resolve := fmt.Sprintf("ip daddr %s tcp dport 80 dnat to %s:%d\nip daddr %s udp dport 53 dnat to %s:%d",
		serviceAddress, web, servicePorts[80], serviceAddress, web, servicePorts[53])
	l.load(t, fmt.Sprintf(`table ip services {
		chain prerouting { type nat hook prerouting priority -100; %s
		}
		chain output { type nat hook output priority -100; %s
		}
		chain postrouting { type nat hook postrouting priority 100; ip saddr %s ip daddr %s masquerade
		}
	}`, resolve, resolve, web, web))
	l.node.shell(t, fmt.Sprintf("ip route add %s dev lo", serviceAddress))
}

// load runs an nft script on the node.
func (l *lab) load(t *testing.T, script string) {
	t.Helper()
	l.node.must(t, func() error { return nft{l.nft}.run(t.Context(), script) })
}

// serve listens on every port of every site until the test ends.
func (l *lab) serve(t *testing.T) {
	t.Helper()
	for name, site := range l.sites {
		if strings.HasSuffix(name, "@link") && name != "node@link" {
			continue // nobody connects to them
		}
		for _, port := range labPorts {
			address, tcp, udp := netip.AddrPortFrom(addresses[name], port), "tcp", "udp"
			if name == "node@link" { // as kubelet, which listens on all addresses
				address, tcp, udp = netip.AddrPortFrom(netip.IPv6Unspecified(), port), "tcp6", "udp6"
			}
			site.must(t, func() error {
				listener, err := net.ListenTCP(tcp, net.TCPAddrFromAddrPort(address))
				if err != nil {
					return err
				}
				t.Cleanup(func() { _ = listener.Close() })
				go acceptAll(listener)
				echo, err := net.ListenUDP(udp, net.UDPAddrFromAddrPort(address))
				if err != nil {
					return err
				}
				t.Cleanup(func() { _ = echo.Close() })
				go echoAll(echo)
				return nil
			})
		}
	}
}

func acceptAll(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go func() { _, _ = io.Copy(connection, connection); _ = connection.Close() }()
	}
}

func echoAll(echo *net.UDPConn) {
	buffer := make([]byte, 64)
	for {
		size, from, err := echo.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			_, _ = echo.WriteToUDPAddrPort(buffer[:size], from)
		}
	}
}

// try opens the connection and reports whether it was allowed. A refusal must be immediate; a timeout is an error.
func (l *lab) try(attempt connection) (allowed bool, err error) {
	connection, err := l.open(attempt)
	if err == nil {
		defer connection.Close() //nolint:errcheck // nothing was written that could be lost
		err = exchange(connection, l.patience)
	}
	refusals := []error{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.EACCES}
	for _, refusal := range refusals {
		if errors.Is(err, refusal) {
			return false, nil
		}
	}
	return err == nil, err
}

// passes reports whether the connection was allowed; a timeout counts as a refusal.
func (l *lab) passes(attempt connection) bool {
	allowed, err := l.try(attempt)
	return allowed && err == nil
}

// open dials from the source's network, from a new local port.
func (l *lab) open(attempt connection) (net.Conn, error) {
	l.next++
	local := netip.AddrPortFrom(addresses[attempt.source], l.next)
	if attempt.source == "node" {
		local = netip.AddrPortFrom(netip.IPv4Unspecified(), l.next)
	}
	dialer := net.Dialer{Timeout: l.patience, LocalAddr: net.TCPAddrFromAddrPort(local)}
	if attempt.protocol == corev1.ProtocolUDP {
		dialer.LocalAddr = net.UDPAddrFromAddrPort(local)
	}
	var opened net.Conn
	err := l.sites[attempt.source].do(func() (err error) {
		opened, err = dialer.Dial(strings.ToLower(string(attempt.protocol)), attempt.target().String())
		return err
	})
	return opened, err
}

// exchange sends a word and expects it in the response.
func exchange(connection net.Conn, patience time.Duration) error {
	_ = connection.SetDeadline(time.Now().Add(patience))
	word, answer := []byte("ping"), make([]byte, 4)
	if _, err := connection.Write(word); err != nil {
		return err
	}
	if _, err := io.ReadFull(connection, answer); err != nil {
		return err
	}
	if !bytes.Equal(word, answer) {
		return fmt.Errorf("sent %q, got %q back", word, answer)
	}
	return nil
}

// newNetns creates an empty network.
func newNetns(t *testing.T) netns {
	t.Helper()
	var file *os.File
	err := onThreadOfItsOwn(func() (err error) {
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		file, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	if errors.Is(err, unix.EPERM) {
		t.Skipf("may not make private networks: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return netns{file}
}

// do runs an action in the network. Sockets it opens and programs it starts stay there.
func (n netns) do(action func() error) error {
	return onThreadOfItsOwn(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return err
		}
		return action()
	})
}

func (n netns) must(t *testing.T, action func() error) {
	t.Helper()
	if err := n.do(action); err != nil {
		t.Fatal(err)
	}
}

// shell runs commands in the network; the first that fails fails the test.
func (n netns) shell(t *testing.T, commands string) {
	t.Helper()
	n.must(t, func() error {
		output, err := exec.CommandContext(context.Background(), "sh", "-ec", commands).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", commands, err, output)
		}
		return nil
	})
}

// onThreadOfItsOwn runs an action on a thread that ends with it, so that no other code runs in its network.
func onThreadOfItsOwn(action func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		done <- action()
	}()
	return <-done
}
