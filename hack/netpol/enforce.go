package main

import (
	"context"
	"log/slog"
	"time"
)

const (
	// debounce combines the events of one change (for example, of a Deployment's pods) into one transaction.
	debounce = 20 * time.Millisecond
	// retryAfter is the pause before a failed script is retried.
	retryAfter = time.Second
)

// enforcer keeps the kernel's rules in sync with the cluster.
type enforcer struct {
	desired func() Ruleset
	apply   func(ctx context.Context, script string) error
	log     *slog.Logger
}

// run applies the desired rules after each notice, if they have changed, until the context ends.
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

// pause waits, and reports whether the context is still active.
func pause(ctx context.Context, duration time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(duration):
		return true
	}
}

// notice reports that something changed, without details. Pending notices are combined into one.
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
