"""The chart's limits on the values of ModelDeployments, enforced by a real API server.

Each limit rejects values outside of it, by name, and admits all others; each rendering limits one namespace only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.apiserver.api_client import Api, RequestRefusedError
from tests.apiserver.conftest import Kubectl
from tests.apiserver.specs import MINIMAL, changed, create, deployment
from tests.apiserver.test_chart import install_values

Object = dict[str, Any]
OPEN: Object = {"profile": "Open"}
DIGEST = "@sha256:" + "0" * 64

Try = Callable[..., str]
"""What the server says to a spec, "" when it takes it."""


def images(*names: str) -> list[Object]:
    """Return specs with each name as the models' image, as the server's, and as those in a pod template."""
    model = [changed(MINIMAL, "modelRepository.image.reference", name) for name in names]
    own = [{"models": [{"name": "digits", "modelRepository": {"image": {"reference": name}}}]} for name in names]
    server = [
        changed(changed(MINIMAL, "modelRepository", {"pvc": {"claimName": "a"}}), "triton.image", name)
        for name in names
    ]
    claim = changed(MINIMAL, "modelRepository", {"pvc": {"claimName": "a"}})
    added = [
        changed(claim, "podTemplate.spec", pod)
        for name in names
        for pod in (
            {"containers": [{"name": "triton"}, {"name": "a", "image": name}]},
            {"initContainers": [{"name": "a", "image": name}]},
            {"volumes": [{"name": "a", "image": {"reference": name}}]},
        )
    ]
    return [*model, *own, *server, *added]


def fetched(**repository: Any) -> Object:
    """Return a spec whose models are fetched from this repository."""
    return {"modelRepository": repository, "models": [{"name": "digits"}], "privacy": OPEN}


def from_s3(endpoint: str | None = None) -> Object:
    """Return a spec with a bucket."""
    return fetched(s3={"bucket": "models"} | ({"endpoint": endpoint} if endpoint else {}))


def from_http(url: str) -> Object:
    """Return a spec with an archive."""
    return fetched(http={"url": url, "sha256": "0" * 64})


def through_proxy(url: str, proxy: str) -> Object:
    """Return a spec with an archive that is downloaded through a proxy; without one if it is empty."""
    return changed(from_http(f"{url}/v1.tar"), "prepare", {"httpProxy": {"url": proxy}})


def with_vault(address: str) -> Object:
    """Return a spec whose models are decrypted with keys in this vault."""
    vault = {"address": address, "role": "reader", "key": "models"}
    resources = {"limits": {"memory": "1Gi"}}
    return {**MINIMAL, "privacy": OPEN, "resources": resources, "decryption": {"vault": vault, "memory": "64Mi"}}


def with_secret(name: str) -> list[Object]:
    """Return specs that name a Secret for fetching, of all models, one or a proxy, pulling, TLS, keys, variables."""
    repository = {"s3": {"bucket": "models"}, "credentialsSecretRef": {"name": name}}
    models = [{"name": "digits", "modelRepository": repository}]
    return [
        fetched(**repository),
        {"models": models, "privacy": OPEN},
        changed(
            fetched(s3={"bucket": "models"}),
            "prepare",
            {"httpProxy": {"url": "http://proxy:3128", "credentialsSecretRef": {"name": name}}},
        ),
        changed(MINIMAL, "imagePullSecrets", [{"name": name}]),
        changed(MINIMAL, "privacy", {"tls": {"mode": "Secret", "secretRef": {"name": name}}}),
        changed(
            changed(MINIMAL, "decryption", {"secretRef": {"name": name}, "memory": "64Mi"}),
            "resources",
            {"limits": {"memory": "1Gi"}},
        ),
        changed(MINIMAL, "env", [{"name": "A", "valueFrom": {"secretKeyRef": {"name": name, "key": "a"}}}]),
        changed(MINIMAL, "envFrom", [{"prefix": "A_", "secretRef": {"name": name}}]),
        *(changed(MINIMAL, "podTemplate.spec", pod) for pod in pods_with_secret(name)),
    ]


def pods_with_secret(name: str) -> list[Object]:
    """Return pod templates that name a Secret, in each place where one can be named."""
    variable = {"name": "A", "valueFrom": {"secretKeyRef": {"name": name, "key": "a"}}}
    others = [{"name": "B", "value": "b"}, {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    sources = [{"configMap": {"name": "a"}}, {"secret": {"name": name}}]
    return [
        {"containers": [{"name": "a", "image": "a", "env": [*others, variable]}, {"name": "b", "image": "b"}]},
        {"initContainers": [{"name": "a", "image": "a", "envFrom": [{"prefix": "A"}, {"secretRef": {"name": name}}]}]},
        {"volumes": [{"name": "a", "emptyDir": {}}, {"name": "b", "secret": {"secretName": name}}]},
        {"volumes": [{"name": "a", "projected": {"sources": sources}}]},
        {"volumes": [{"name": "a", "csi": {"driver": "a.example.com", "nodePublishSecretRef": {"name": name}}}]},
    ]


def ingress(host: str, **fields: Any) -> Object:
    return changed(PLAIN, "exposure", {"ingress": {"host": host, "tls": {"secretName": "web"}, **fields}})


def issued(**issuer: str) -> Object:
    """Return a spec whose certificate comes from this issuer of cert-manager."""
    return changed(MINIMAL, "privacy", {"tls": {"mode": "CertManager", "certManager": {"issuerRef": issuer}}})


def scaled(*triggers: Object, **keda: Any) -> Object:
    """Return a spec that KEDA scales by these triggers."""
    metrics = [{"type": "CPUUtilization"}, *({"type": "Trigger", "trigger": trigger} for trigger in triggers)]
    autoscaling = {"provider": "KEDA", "maxReplicas": 3, "metrics": metrics, **({"keda": keda} if keda else {})}
    return {**MINIMAL, "privacy": OPEN, "autoscaling": autoscaling}


def trigger(kind: str, reference: str = "", **parameters: str) -> Object:
    """Return a trigger of KEDA."""
    return {"type": kind, "metadata": parameters, **({"authenticationRef": {"name": reference}} if reference else {})}


PLAIN = MINIMAL
CLAIM = changed(MINIMAL, "modelRepository", {"pvc": {"claimName": "models"}})

# The limit, specs that are within, and specs that are beyond with words of the refusal.
LIMITS: dict[str, tuple[Object, list[Object], list[Object], str]] = {
    "images": (
        {"images": ["nvcr.io/nvidia/tritonserver", "registry.example.com:5000", "docker.io/library"]},
        [
            CLAIM,
            *images(
                "nvcr.io/nvidia/tritonserver:26.11-py3",
                f"nvcr.io/nvidia/tritonserver{DIGEST}",
                "registry.example.com:5000/team/models:v1",
                "library/models",
                "models:v1",
            ),
        ],
        images(
            "nvcr.io/nvidia/tritonserver-evil:26.11-py3",
            "nvcr.io/nvidia",
            "registry.example.com/team/models:v1",
            "registry.example.com:50001/team/models:v1",
            "acme/models:v1",
            "evil.example.com/nvcr.io/nvidia/tritonserver:26.11-py3",
        ),
        "does not allow image ",
    ),
    "a registry without a port": (
        {"images": ["registry.example.com"]},
        images("registry.example.com/a:v1"),
        images("registry.example.com:5000/a:v1", "registry.example.com.evil.com/a:v1", "registry.example/com:v1"),
        "does not allow image ",
    ),
    "Docker Hub": (
        {"images": ["docker.io/library/models", "docker.io/acme"]},
        images("models:v1", "docker.io/models:v1", "index.docker.io/acme/models:v1", "acme/models:v1"),
        images("acme:v1", "docker.io/acme:v1", "EVIL/acme/models:v1", "docker.io.example.com/acme/models:v1"),
        "does not allow image ",
    ),
    "all of Docker Hub": (
        {"images": ["docker.io"]},
        images("models:v1", "acme/models:v1"),
        images("EVIL/models:v1", "evil.example.com/models:v1", "localhost/models:v1", "evil:5000/models:v1"),
        "does not allow image ",
    ),
    "no images": ({"images": []}, [CLAIM], images("models:v1"), "does not allow image docker.io/library/models:v1"),
    "images by digest": (
        {"imagesByDigest": True},
        [CLAIM, *images(f"example.com/models{DIGEST}", f"models:v1{DIGEST}")],
        images("example.com/models:v1", "example.com/sha256:v1"),
        " without a digest",
    ),
    "sources": (
        {"sources": ["Image", "S3"]},
        [PLAIN, from_s3()],
        [CLAIM, from_http("https://example.com/a.tar")],
        "a model repository of the kind ",
    ),
    "a source of one model": (
        {"sources": ["Image"]},
        [PLAIN],
        [changed(PLAIN, "models", [{"name": "a"}, {"name": "b", "modelRepository": {"pvc": {"claimName": "c"}}}])],
        "a model repository of the kind PVC",
    ),
    "addresses": (
        {"addresses": ["https://s3.example.com:9000", "https://models.example.com"]},
        [
            PLAIN,
            from_s3("https://s3.example.com:9000"),
            from_http("https://models.example.com/v1.tar?key=abc"),
            with_vault("https://models.example.com"),
            through_proxy("https://models.example.com", ""),
        ],
        [
            from_s3(),
            from_s3("https://s3.example.com"),
            from_s3("https://s3.example.com:90000"),
            from_http("https://models.example.com.evil.com/v1.tar"),
            from_http("http://models.example.com/v1.tar"),
            from_http("https://models.example.com:8443/v1.tar"),
            with_vault("https://models.example.com:8200"),
            with_vault("https://vault.example.com"),
            through_proxy("https://models.example.com", "http://proxy.example.com:3128"),
        ],
        "does not allow connections to ",
    ),
    "names of allowed addresses": (
        {"addresses": ["https://models.example.com"]},
        [PLAIN, changed(PLAIN, "dnsConfig", {"options": [{"name": "ndots", "value": "2"}]})],
        [
            changed(PLAIN, "hostAliases", [{"ip": "203.0.113.1", "hostnames": ["models.example.com"]}]),
            changed(PLAIN, "dnsConfig", {"nameservers": ["203.0.113.53"]}),
            changed(PLAIN, "dnsConfig", {"searches": ["evil.example"]}),
        ],
        "does not allow spec.",
    ),
    "addresses of KEDA": (
        {"addresses": ["http://prometheus.monitoring.svc:9090", "https://api.example.com"]},
        [
            scaled(trigger("cron", start="0 8 * * *"), trigger("kubernetes-workload", podSelector="app=a")),
            scaled(trigger("prometheus", serverAddress="http://prometheus.monitoring.svc:9090")),
            scaled(trigger("metrics-api", url="https://api.example.com/v1/jobs?all=1")),
            scaled(prometheusServer="http://prometheus.monitoring.svc:9090"),
        ],
        [
            scaled(trigger("prometheus", serverAddress="http://169.254.169.254")),
            scaled(trigger("metrics-api", url="https://api.example.com.evil.example/v1")),
            scaled(trigger("metrics-api", urlFromEnv="URL")),
            scaled(trigger("metrics-api", url="https://api.example.com/v1", urlFromEnv="URL")),
            scaled(trigger("prometheus", serverAddress="https://api.example.com", serverAddressFromEnv="URL")),
            scaled(trigger("cron"), trigger("postgresql", "database", host="evil.example", passwordFromEnv="PASSWORD")),
            scaled(trigger("rabbitmq", host="amqp://evil.example")),
            scaled(prometheusServer="http://evil.example:9090"),
        ],
        "the administrator does not allow ",
    ),
    "Secrets of KEDA": (
        {"secrets": ["registry"]},
        [PLAIN, scaled(trigger("cron", start="0 8 * * *")), scaled(trigger("redis", address="redis:6379"))],
        [scaled(trigger("redis", "queue", address="evil.example:6379")), scaled(trigger("cron"), trigger("cron", "b"))],
        "does not allow TriggerAuthentication ",
    ),
    "accounts": (
        {"serviceAccounts": ["models"]},
        [PLAIN, changed(PLAIN, "serviceAccount.name", "models"), changed(PLAIN, "serviceAccount.annotations", {})],
        [
            changed(PLAIN, "serviceAccount.name", "database"),
            changed(PLAIN, "serviceAccount.annotations", {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/admin"}),
        ],
        "does not allow spec.serviceAccount.",
    ),
    "names that Services publish": (
        {"exposedHosts": ["models.example.com"]},
        [PLAIN, changed(PLAIN, "service.annotations", {"example.com/team": "a", "example.com/hostnames": "b"})],
        [
            changed(PLAIN, "service.annotations", {f"external-dns.alpha.kubernetes.io/{name}": "bank.example.com"})
            for name in ("hostname", "internal-hostname")
        ],
        " in spec.service",
    ),
    "Amazon's S3": (
        {"addresses": ["https://s3.amazonaws.com"]},
        [from_s3()],
        [from_s3("https://s3.eu-central-1.amazonaws.com")],
        "connections to https://s3.eu-central-1.amazonaws.com",
    ),
    "Secrets": (
        {"secrets": ["registry", "models-*"]},
        [PLAIN, *with_secret("registry"), *with_secret("models-reader")],
        [*with_secret("registry-2"), *with_secret("database"), *with_secret("my-models-reader")],
        "does not allow Secret ",
    ),
    "issuers": (
        {"issuers": ["Issuer/team", "ClusterIssuer/company", "AWSPCAIssuer.awspca.cert-manager.io/private"]},
        [
            PLAIN,
            issued(name="team"),
            issued(name="team", kind="Issuer", group="cert-manager.io"),
            issued(name="company", kind="ClusterIssuer"),
            issued(name="private", kind="AWSPCAIssuer", group="awspca.cert-manager.io"),
        ],
        [issued(name="company"), issued(name="team", kind="ClusterIssuer"), issued(name="team", group="example.com")],
        "does not allow issuer ",
    ),
    "priority classes": (
        {"priorityClasses": ["models"]},
        [
            PLAIN,
            changed(PLAIN, "scheduling.priorityClassName", "models"),
            changed(PLAIN, "podTemplate.spec.priorityClassName", "models"),
        ],
        [
            changed(PLAIN, "scheduling.priorityClassName", "system-node-critical"),
            changed(PLAIN, "podTemplate.spec.priorityClassName", "system-node-critical"),
        ],
        ".priorityClassName system-node-critical",
    ),
    "no runtime class": (
        {"runtimeClasses": []},
        [PLAIN, changed(PLAIN, "scheduling.nodeSelector", {"a": "b"})],
        [
            changed(PLAIN, "scheduling.runtimeClassName", "nvidia"),
            changed(PLAIN, "podTemplate.spec.runtimeClassName", "nvidia"),
        ],
        ".runtimeClassName nvidia",
    ),
    "exposed hosts": (
        {"exposedHosts": ["models.example.com", "*.ml.example.com"]},
        [PLAIN, ingress("models.example.com"), ingress("digits.ml.example.com"), ingress("a.b.ml.example.com")],
        [ingress("ml.example.com"), ingress("evilml.example.com"), ingress("models.example.com.evil.com")],
        " in spec.exposure",
    ),
    "annotations of Ingresses": (
        {"exposureAnnotations": ["example.com/team", "nginx.ingress.kubernetes.io/proxy-*"]},
        [
            PLAIN,
            ingress("a.b"),
            ingress("a.b", annotations={"example.com/team": "x", "nginx.ingress.kubernetes.io/proxy-body-size": "1m"}),
        ],
        [
            ingress("a.b", annotations={"example.com/teams": "x"}),
            ingress("a.b", annotations={"example.com/team": "x"}, grpcAnnotations={"example.com/other": "x"}),
        ],
        "does not allow annotation example.com/",
    ),
    "types of Services": (
        {"serviceTypes": ["ClusterIP"]},
        [PLAIN, changed(PLAIN, "service.type", "ClusterIP")],
        [changed(PLAIN, "service.type", "NodePort"), changed(PLAIN, "service.type", "LoadBalancer")],
        "spec.service.type ",
    ),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_what_is_beyond_a_limit_is_refused(api: Api, kubectl: Kubectl, namespace: str, limit: str) -> None:
    values, within, beyond, words = LIMITS[limit]
    limit_namespace(kubectl, namespace, **values)
    _await(lambda: words in attempt(api, namespace, beyond[0]), "the policy is in force")
    assert {str(spec): attempt(api, namespace, spec) for spec in within} == {str(spec): "" for spec in within}
    for spec in beyond:
        assert words in attempt(api, namespace, spec), spec


def test_the_longest_lists_are_judged(api: Api, kubectl: Kubectl, namespace: str) -> None:
    """The API server aborts an expensive expression, and rejects the object without a reason."""
    allowed = [f"registry-{number}.example.com/{'a' * 400}" for number in range(64)]
    limit_namespace(
        kubectl, namespace, images=allowed, addresses=[f"https://a-{number}.example.com" for number in range(64)]
    )
    own = [
        {"name": f"m-{number}", "modelRepository": {"image": {"reference": f"{allowed[-1]}/{'b' * 80}:v{number}"}}}
        for number in range(16)
    ]
    _await(lambda: attempt(api, namespace, PLAIN) != "", "the policy is in force")
    assert attempt(api, namespace, {"models": own}) == ""
    own[0]["modelRepository"] = {"image": {"reference": "evil.example.com/models:v1"}}
    assert "does not allow image evil.example.com/models:v1" in attempt(api, namespace, {"models": own})


def test_all_that_is_beyond_is_named_at_once(api: Api, kubectl: Kubectl, namespace: str) -> None:
    """The message does not contain the query of a URL, which may be secret."""
    limit_namespace(kubectl, namespace, addresses=[], secrets=[], serviceTypes=["ClusterIP"])
    spec = fetched(http={"url": "https://a.example.com/x?token=hidden"}, credentialsSecretRef={"name": "database"})
    spec["service"] = {"type": "NodePort"}
    _await(lambda: "database" in attempt(api, namespace, spec), "the policy is in force")
    output = attempt(api, namespace, spec)
    assert "hidden" not in output
    for words in ("connections to https://a.example.com/x", "Secret database", "spec.service.type NodePort"):
        assert words in output, output


def test_an_object_from_before_a_limit_is_judged_when_its_spec_changes(
    api: Api, kubectl: Kubectl, namespace: str
) -> None:
    """Until then it can be labelled and scaled, and its status can be written."""
    create(api, namespace, deployment(changed(PLAIN, "service.type", "NodePort"), "old"))
    limit_namespace(kubectl, namespace, serviceTypes=["ClusterIP"])
    beyond = changed(PLAIN, "service.type", "NodePort")
    _await(lambda: attempt(api, namespace, beyond) != "", "the policy is in force")
    path = f"/apis/triton-operator.io/v1alpha1/namespaces/{namespace}/modeldeployments/old"
    api.merge(path, {"metadata": {"labels": {"a": "b"}}})
    api.merge(f"{path}/scale", {"spec": {"replicas": 3}})
    api.merge(f"{path}/status", {"status": {"replicas": 3}})
    with pytest.raises(RequestRefusedError, match=r"spec\.service\.type NodePort"):
        api.merge(path, {"spec": {"suspend": True}})
    api.merge(path, {"spec": {"suspend": True, "service": {"type": "ClusterIP"}}})


def test_a_secret_needs_the_label(api: Api, kubectl: Kubectl, namespace: str) -> None:
    """Both Secrets exist; a Secret that does not exist yet cannot be checked."""
    for name, labels in (("reader", {"example.com/for-models": "yes"}), ("database", {"example.com/other": "yes"})):
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": labels}}
        api.create(f"/api/v1/namespaces/{namespace}/secrets", secret)
    limit_namespace(kubectl, namespace, secretLabel="example.com/for-models")
    words = "does not allow Secret database, because it lacks the label example.com/for-models"
    _await(lambda: words in attempt(api, namespace, with_secret("database")[0]), "the policy is in force")
    for spec in with_secret("database"):
        assert words in attempt(api, namespace, spec)
    assert "TriggerAuthentication queue" in attempt(api, namespace, scaled(trigger("redis", "queue", address="a:6379")))
    for spec in (PLAIN, *with_secret("reader"), *with_secret("not-there-yet")):
        assert attempt(api, namespace, spec) == ""


def test_another_namespace_is_not_limited(api: Api, kubectl: Kubectl, namespace: str) -> None:
    """The selector in the values determines the namespaces."""
    limit_namespace(kubectl, namespace, sources=[])
    _await(lambda: attempt(api, namespace, PLAIN) != "", "the policy is in force")
    assert attempt(api, "default", PLAIN) == ""


def limit_namespace(kubectl: Kubectl, namespace: str, **limits: Any) -> None:
    """Install the chart with these limits, for this namespace only."""
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    install_values(kubectl, namespace, policies={"deployments": limits, "namespaceSelector": selector})


def attempt(api: Api, namespace: str, spec: Object) -> str:
    """Return the server's error for a spec, or "" if it is admitted."""
    path = f"/apis/triton-operator.io/v1alpha1/namespaces/{namespace}/modeldeployments"
    try:
        api.create(path, deployment(spec), dryRun="All", fieldValidation="Strict")
    except RequestRefusedError as refused:
        assert refused.code == 403, refused  # noqa: PT017 -- a spec that the schema refuses shows nothing
        return refused.message
    return ""


def _await(look: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 180
    while not look():
        assert time.monotonic() < deadline, f"not within three minutes: {what}"
        time.sleep(0.1)
