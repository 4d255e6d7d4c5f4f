"""The flags of Triton's command line, with the first release of each. `extra_args` checks the user's flags against it.

The data comes from the option parser at each tag of triton-inference-server/server, from 24.07 to 26.08; no flag was
removed in that time.
"""

from __future__ import annotations

from triton_operator.triton.server.versions import Version

LAST_READ = Version(26, 8)
"""The newest release in the table; newer releases may have more flags."""

_OLDEST = Version(24, 7)
_OF_THE_OLDEST = """
allow-cpu-metrics allow-gpu-metrics allow-grpc allow-http allow-metrics allow-sagemaker allow-vertex-ai backend-config
backend-directory buffer-manager-thread-count cache-config cache-directory cuda-memory-pool-byte-size
cuda-virtual-address-size disable-auto-complete-config enable-peer-access exit-on-error exit-timeout-secs grpc-address
grpc-header-forward-pattern grpc-http2-max-ping-strikes grpc-http2-max-pings-without-data
grpc-http2-min-recv-ping-interval-without-data grpc-infer-allocation-pool-size grpc-infer-response-compression-level
grpc-keepalive-permit-without-calls grpc-keepalive-time grpc-keepalive-timeout grpc-max-connection-age
grpc-max-connection-age-grace grpc-port grpc-restricted-protocol grpc-root-cert grpc-server-cert grpc-server-key
grpc-use-ssl grpc-use-ssl-mutual help host-policy http-address http-header-forward-pattern http-port
http-restricted-api http-thread-count id load-model log-error log-file log-format log-info log-verbose log-warning
metrics-address metrics-config metrics-interval-ms metrics-port min-supported-compute-capability model-config-name
model-control-mode
model-load-gpu-limit model-load-retry-count model-load-thread-count model-namespacing model-repository model-store
pinned-memory-pool-byte-size rate-limit rate-limit-resource repoagent-directory repository-poll-secs
response-cache-byte-size reuse-grpc-port reuse-http-port sagemaker-port sagemaker-safe-port-range
sagemaker-thread-count strict-model-config strict-readiness trace-config trace-count trace-file trace-level
trace-log-frequency trace-rate vertex-ai-default-model vertex-ai-port vertex-ai-thread-count
"""

KNOWN_FLAGS: dict[str, Version] = dict.fromkeys(_OF_THE_OLDEST.split(), _OLDEST) | {
    "grpc-max-response-pool-size": Version(25, 3),
    "grpc-infer-thread-count": Version(25, 4),
    "http-max-input-size": Version(25, 6),
    "allow-client-shm": Version(26, 4),
}
"""First release by flag; releases before 24.07 are not supported and not listed."""
