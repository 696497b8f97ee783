"""The chart, rendered by the real helm: what an operator relies on."""

import json
import subprocess
import sys

import check
import helm_binary
import pytest
import yaml

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def helm():
    binary = helm_binary.find()
    if binary is None:
        pytest.skip("no helm: run deploy/check.py, which fetches it, or set HELM")
    return str(binary)


@pytest.fixture
def render(helm):
    """Gives a function from values (settings, or the name of a file in helm/ci) to manifests by kind and name."""

    def call(values="default", *settings):
        file = check.CHART.parent / "ci" / f"{values}-values.yaml"
        command = [helm, "template", "release", str(check.CHART), "-f", str(file)]
        done = subprocess.run(
            [*command, *(f"--set-json={one}" for one in settings)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RefusedError(done.stderr)
        documents = [document for document in yaml.safe_load_all(done.stdout) if document]
        return {(document["kind"], document["metadata"]["name"]): document for document in documents}

    return call


class RefusedError(Exception):
    pass


def pod_of(manifests):
    return next(one for (kind, _), one in manifests.items() if kind == "Deployment")["spec"]["template"]["spec"]


def server_of(manifests):
    (container,) = pod_of(manifests)["containers"]
    return container


def settings_of(manifests):
    config = next(one for (kind, _), one in manifests.items() if kind == "ConfigMap")
    return yaml.safe_load(config["data"]["nearfield.yaml"])


def test_liveness_asks_only_whether_the_process_answers(render):
    server = server_of(render())
    assert server["livenessProbe"]["grpc"] == {"port": 50051, "service": "liveness"}
    assert server["startupProbe"]["grpc"] == {"port": 50051, "service": "liveness"}


def test_readiness_asks_the_whole_server(render):
    assert server_of(render())["readinessProbe"]["grpc"] == {"port": 50051, "service": ""}


def test_probes_go_by_http_under_tls_which_kubernetes_cannot_do_for_grpc(render):
    manifests = render("everything")
    server = server_of(manifests)
    assert server["readinessProbe"]["httpGet"] == {"port": "http", "path": "/healthz"}
    assert server["livenessProbe"]["httpGet"] == {"port": "http", "path": "/livez"}
    assert settings_of(manifests)["tls"]["client_ca"] == "/etc/nearfield-tls/ca.crt"


@pytest.mark.parametrize(("drain", "sleep"), [(30, 5), (0, 0), (600, 60)])
def test_the_grace_period_covers_sleep_and_drain(render, drain, sleep):
    manifests = render("default", f"drainSeconds={drain}", f"preStopSleepSeconds={sleep}")
    assert settings_of(manifests)["drain_seconds"] == drain
    assert pod_of(manifests)["terminationGracePeriodSeconds"] > drain + sleep


@pytest.mark.parametrize("values", ["default", "everything", "gpu", "minimal", "persistent"])
def test_every_pod_keeps_to_the_restricted_standard(render, values):
    manifests = render(values)
    pods = [pod_of(manifests), *(one["spec"] for (kind, _), one in manifests.items() if kind == "Pod")]
    assert len(pods) == 2
    for pod in pods:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False
            assert context["privileged"] is False
            assert context["readOnlyRootFilesystem"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["limits"]["memory"]


def test_whatever_the_server_writes_to_is_a_volume(render):
    mounts = {one["mountPath"]: one for one in server_of(render())["volumeMounts"]}
    assert {"/data", "/tmp"} <= {path for path, one in mounts.items() if not one.get("readOnly")}


def test_clients_find_every_pod_in_dns(render):
    service = render()["Service", "release-nearfield"]["spec"]
    assert service["clusterIP"] == "None"
    assert [(one["name"], one["port"], one["appProtocol"]) for one in service["ports"]] == [
        ("grpc", 50051, "kubernetes.io/h2c")
    ]


def test_no_pod_goes_before_its_successor_is_ready(render):
    strategy = render()["Deployment", "release-nearfield"]["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}


def test_a_new_configuration_rolls_the_pods(render):
    def checksum(*settings):
        manifests = render("default", *settings)
        template = manifests["Deployment", "release-nearfield"]["spec"]["template"]
        return template["metadata"]["annotations"]["checksum/config"]

    assert checksum() == checksum()
    assert checksum() != checksum("drainSeconds=31")


def test_addresses_and_device_are_flags_since_the_environment_of_the_image_beats_the_file(render):
    arguments = server_of(render())["args"]
    assert {"--listen=0.0.0.0:50051", "--http=0.0.0.0:8080", "--data-dir=/data", "--device=cpu"} <= set(arguments)


def test_the_autoscaler_alone_sets_replicas_and_watches_the_queue(render):
    manifests = render("everything")
    assert "replicas" not in manifests["Deployment", "embeddings"]["spec"]
    scaler = manifests["HorizontalPodAutoscaler", "embeddings"]["spec"]
    pods = next(one["pods"] for one in scaler["metrics"] if one["type"] == "Pods")
    assert pods["metric"]["name"] == "nearfield_queue_oldest_age_seconds"
    assert pods["target"] == {"type": "AverageValue", "averageValue": "250m"}


def test_a_gpu_is_asked_for_with_the_image_and_the_device_that_use_it(render):
    server = server_of(render("gpu"))
    assert server["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert server["image"] == "registry.example/nearfield:0.1.0-cuda"
    assert "--device=cuda" in server["args"]


def test_a_data_folder_has_one_owner_at_a_time(render):
    manifests = render("persistent")
    assert manifests["Deployment", "release-nearfield"]["spec"]["strategy"] == {"type": "Recreate"}
    claim = manifests["PersistentVolumeClaim", "release-nearfield"]
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_a_network_policy_lets_nothing_out(render):
    policy = render("everything")["NetworkPolicy", "embeddings"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == []


def test_settings_are_what_the_server_takes(render):
    settings = pytest.importorskip("nearfield_server.config.settings")
    for values in ("default", "everything", "gpu"):
        settings.Config(**settings_of(render(values)))


@pytest.mark.parametrize("setting", ['replicaCount="two"', "replicas=2", 'models={"a b":"/m"}', "ports.grpc=80"])
def test_wrong_values_are_refused_by_the_schema(render, setting):
    with pytest.raises(RefusedError, match="values don't meet the specifications"):
        render("default", setting)


def test_all_checks_pass():
    pytest.importorskip("kubernetes_validate", reason="kubernetes-validate isn't installed")
    done = subprocess.run([sys.executable, check.__file__], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout


def test_the_schema_knows_every_value_and_no_other():
    values = yaml.safe_load((check.CHART / "values.yaml").read_text())
    schema = json.loads((check.CHART / "values.schema.json").read_text())
    assert values.keys() == schema["properties"].keys() - {"global"}  # which is Helm's own
    for name in values.keys() - {"probes", "resources"}:
        nested = schema["properties"][name].get("properties")
        assert nested is None or nested.keys() == values[name].keys(), name


def test_the_readme_of_the_chart_lists_every_value():
    values = yaml.safe_load((check.CHART / "values.yaml").read_text())
    readme = (check.CHART / "README.md").read_text()
    assert [name for name in values if f"`{name}" not in readme] == []
