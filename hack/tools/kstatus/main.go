// Command kstatus prints what Helm 4 and Flux make of Kubernetes objects.
//
// It reads a JSON list of objects and writes a JSON list with a status and a
// message for each of them, in the same order. The verdicts are those of the
// library that both programs wait with.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type verdict struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func run() error {
	var objects []json.RawMessage
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return fmt.Errorf("standard input is not a JSON list of objects: %w", err)
	}
	verdicts := make([]verdict, 0, len(objects))
	for index, object := range objects {
		var body unstructured.Unstructured
		if err := body.UnmarshalJSON(object); err != nil {
			return fmt.Errorf("object %d: %w", index, err)
		}
		result, err := status.Compute(&body)
		if err != nil {
			return fmt.Errorf("object %d: %w", index, err)
		}
		verdicts = append(verdicts, verdict{result.Status.String(), result.Message})
	}
	return json.NewEncoder(os.Stdout).Encode(verdicts)
}
