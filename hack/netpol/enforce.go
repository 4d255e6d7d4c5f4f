package main

import (
	"context"
	"log/slog"
	"time"
)

const (
	// debounce joins the events of one change (a Deployment's pods, say) into one transaction.
	debounce = 20 * time.Millisecond
	// retryAfter is the pause before a script that failed is tried again.
	retryAfter = time.Second
)

// enforcer keeps the kernel's rules equal to what the cluster asks for.
type enforcer struct {
	desired func() Ruleset
	apply   func(ctx context.Context, script string) error
	log     *slog.Logger
}

// run applies the desired rules at each notice of a change that changes them, until the context ends.
func (e enforcer) run(ctx context.Context, changed notice) {
	applied := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		if !pause(ctx, debounce) {
			return
		}
		changed.clear()
		ruleset := e.desired()
		script := Render(ruleset)
		if script == applied {
			continue
		}
		start := time.Now()
		if err := e.apply(ctx, script); err != nil {
			e.log.Error("the kernel keeps the rules it had", "error", err, "retry", retryAfter)
			time.AfterFunc(retryAfter, changed.send)
			continue
		}
		applied = script
		e.log.Info("applied", "isolated_pods", len(ruleset.Pods), "took", time.Since(start).Round(time.Millisecond))
	}
}

// pause waits, and tells whether the context is still alive.
func pause(ctx context.Context, duration time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(duration):
		return true
	}
}

// notice tells that something changed, without saying what. Notices nobody has seen yet become one.
type notice chan struct{}

func newNotice() notice {
	return make(notice, 1)
}

func (n notice) send() {
	select {
	case n <- struct{}{}:
	default:
	}
}

func (n notice) clear() {
	select {
	case <-n:
	default:
	}
}
