"""Images, compose file and chart: their own tools accept them, and commands, settings and ports in them exist."""

import json
import re
import shlex
import tomllib
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from glam_node.settings.load import load_settings
from glam_node.settings.schema import Settings
from tests.command_line import glam_node
from tests.integration.deploy.shipped import (
    CHART,
    DATABASE,
    DEPLOY,
    DOCKERFILES,
    PASSWORDS,
    compose,
    image_environment,
    instructions,
    of_kind,
    rendered,
    run,
)

STORAGE = "/var/lib/glam-node"
SETTINGS = "/etc/glam-node/node.toml"
OURS = ["node", "worker"]


def settings_of(environment: dict[str, str], text: str, directory: Path) -> Settings:
    """Return the settings that a container loads from a file with this text."""
    assert environment["GLAM_NODE_SETTINGS"] == SETTINGS
    (directory / "node.toml").write_text(text)
    return load_settings(directory / "node.toml", environment)


@pytest.mark.peer("hadolint")
@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_the_linter_finds_no_fault_in_an_image(dockerfile: Path) -> None:
    assert run("hadolint", dockerfile).stdout == ""


@pytest.mark.peer("hadolint")
def test_the_linter_would_find_one(tmp_path: Path) -> None:
    wrong = tmp_path / "Dockerfile"
    wrong.write_text(DOCKERFILES[0].read_text().replace("-slim-bookworm", ""))
    wrong.write_text(wrong.read_text().replace("WORKDIR /source", "WORKDIR source"))
    assert "DL3000" in run("hadolint", wrong).stdout


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_files_copied_into_an_image_exist_and_are_not_ignored(dockerfile: Path) -> None:
    root = DEPLOY.parent
    copied = [
        word
        for line in dockerfile.read_text().splitlines()
        if line.startswith("COPY") and "--from" not in line
        for word in line.split()[1:-1]
    ]
    allowed = {line[1:] for line in (root / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied
    assert set(copied) <= allowed
    assert [name for name in copied if not (root / name).exists()] == []


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_starts_a_command_with_settings_that_there_are(dockerfile: Path, tmp_path: Path) -> None:
    stated = dict(instructions(dockerfile))
    settings = settings_of(image_environment(dockerfile), "", tmp_path)
    assert json.loads(stated["ENTRYPOINT"]) == ["glam-node"]
    glam_node(*json.loads(stated["CMD"]), "--help")
    assert (str(settings.storage.root), stated["VOLUME"], stated["USER"]) == (STORAGE, STORAGE, "10001")


@pytest.mark.peer("docker-compose")
@pytest.mark.parametrize("more", [(), ("compose.cuda.yaml",)])
def test_compose_takes_the_laboratory(more: tuple[str, ...]) -> None:
    services = compose(*more)["services"]
    assert sorted(services) == ["grafana", "node", "orthanc", "postgres", "prometheus", "redis", "worker"]


@pytest.mark.peer("docker-compose")
def test_compose_would_find_a_misspelled_key(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yaml"
    wrong.write_text((DEPLOY / "compose" / "compose.yaml").read_text().replace("stop_grace_period", "stop_grace_time"))
    assert "stop_grace_time" in run("docker-compose", "-f", wrong, "config", "-q", **PASSWORDS).stderr


@pytest.mark.peer("docker-compose")
def test_the_laboratory_does_not_start_without_passwords() -> None:
    said = run("docker-compose", "-f", DEPLOY / "compose" / "compose.yaml", "config", "-q").stderr
    assert "write one into .env" in said
    example = (DEPLOY / "compose" / ".env.example").read_text().splitlines()
    assert sorted(example) == sorted(f"{name}=" for name in PASSWORDS)


@pytest.mark.peer("docker-compose")
@pytest.mark.parametrize("name", OURS)
def test_the_laboratorys_containers_run_commands_with_settings_that_there_are(name: str, tmp_path: Path) -> None:
    service = compose("compose.cuda.yaml")["services"][name]
    dockerfile = DEPLOY.parent / service["build"]["dockerfile"]
    text = (DEPLOY / "compose" / "node.toml").read_text()
    settings = settings_of(image_environment(dockerfile) | service["environment"], text, tmp_path)
    glam_node(*service["command"], "--help")
    assert settings.broker_url.startswith("redis://redis:6379")
    assert settings.database_url.endswith("@postgres/glam")
    targets = {volume["target"] for volume in service["volumes"]}
    assert targets == {STORAGE, SETTINGS}
    assert str(settings.storage.root) == STORAGE


@pytest.mark.peer("docker-compose")
def test_the_laboratorys_parts_know_each_other() -> None:
    services = compose()["services"]
    node = tomllib.loads((DEPLOY / "compose" / "node.toml").read_text())
    orthanc = json.loads((DEPLOY / "compose" / "orthanc.json").read_text())
    prometheus = yaml.safe_load((DEPLOY / "compose" / "prometheus.yml").read_text())
    archive, (modality,) = node["destinations"]["archive"], orthanc["DicomModalities"].values()
    assert modality == {"AET": node["node"]["ae_title"], "Host": "node", "Port": node["node"]["port"]}
    assert (archive["ae_title"], archive["host"], archive["port"]) == (orthanc["DicomAet"], "orthanc", 4242)
    assert orthanc["DicomPort"] == 4242
    assert {str(port["target"]) for port in services["node"]["ports"]} == {str(node["node"]["port"])}
    assert prometheus["scrape_configs"][0]["static_configs"] == [{"targets": [f"node:{node['console']['port']}"]}]
    assert f":{node['console']['port']}/readyz" in services["node"]["healthcheck"]["test"][-1]


@pytest.mark.peer("docker-compose")
def test_every_file_that_the_laboratory_mounts_is_there() -> None:
    mounts = [volume for service in compose()["services"].values() for volume in service.get("volumes", [])]
    files = [volume["source"] for volume in mounts if volume["type"] == "bind"]
    assert files
    assert [path for path in files if not Path(path).exists()] == []


@pytest.mark.peer("docker-compose")
def test_exposed_ports_are_those_that_the_node_listens_on() -> None:
    exposed = dict(instructions(DOCKERFILES[0]))["EXPOSE"].split()
    node = tomllib.loads((DEPLOY / "compose" / "node.toml").read_text())
    assert exposed == [str(node["node"]["port"]), str(node["console"]["port"])]


@pytest.mark.peer("helm")
def test_helm_finds_no_fault_in_the_chart() -> None:
    linted = run("helm", "lint", "--strict", CHART, "--set", DATABASE)
    assert linted.returncode == 0, linted.stdout


@pytest.mark.peer("helm")
@pytest.mark.parametrize("values", [(), ("keda.enabled=false",), ("redis.enabled=false", "redis.address=redis:6379")])
def test_kubernetes_knows_every_field_of_the_chart(values: tuple[str, ...]) -> None:
    ours = [manifest for manifest in rendered(*values) if manifest["kind"] != "ScaledObject"]
    assert len(ours) > 5
    for manifest in ours:
        kubernetes_validate.validate(manifest, "1.33", strict=True)


@pytest.mark.peer("helm")
def test_kubernetes_would_not_know_a_misspelled_field() -> None:
    deployment = of_kind(rendered(), "Deployment")["lab-node"]
    deployment["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="livenesProbe"):
        kubernetes_validate.validate(deployment, "1.33", strict=True)


def lines_of_the_readme(first: str) -> list[list[str]]:
    """Return the commands of deploy/README.md that begin with these words."""
    found = re.findall(rf"^`?({first} [^`\n]*)", (DEPLOY / "README.md").read_text(), re.MULTILINE)
    assert found
    return [shlex.split(line) for line in found]


@pytest.mark.peer("helm")
def test_helm_takes_the_command_of_the_readme(tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text("worker:\n  replicas: 2\n")
    (command,) = lines_of_the_readme("helm")
    places = {"install": "template", "deploy/helm/glam-node": str(CHART), "site.yaml": str(site)}
    done = run("helm", *[places.get(word, word) for word in command[1:]])
    assert done.returncode == 0, done.stderr
    assert "glam-database" in done.stdout


@pytest.mark.peer("docker-compose")
def test_compose_takes_the_files_and_services_of_the_readmes_commands() -> None:
    assert lines_of_the_readme("cp") == [["cp", ".env.example", ".env"]]
    for command in lines_of_the_readme("docker compose"):
        more = [name for name in command if name.endswith(".yaml") and name != "compose.yaml"]
        services = compose(*more)["services"]
        assert {word.partition("=")[0] for word in command if "=" in word} <= services.keys()


@pytest.mark.peer("helm")
def test_the_chart_asks_for_a_database() -> None:
    assert "database.url or database.existingSecret is needed" in run("helm", "template", "lab", CHART).stderr


@pytest.mark.peer("helm")
@pytest.mark.parametrize("name", OURS)
def test_the_charts_pods_run_commands_with_settings_that_there_are(name: str, tmp_path: Path) -> None:
    manifests = rendered()
    pod = of_kind(manifests, "Deployment")[f"lab-{name}"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    secret = of_kind(manifests, "Secret")["lab-database"]["stringData"]
    stated = {
        entry["name"]: entry["value"] if "value" in entry else secret[entry["valueFrom"]["secretKeyRef"]["key"]]
        for entry in container["env"]
    }
    text = of_kind(manifests, "ConfigMap")["lab-settings"]["data"]["node.toml"]
    settings = settings_of(stated, text, tmp_path)
    glam_node(*container["args"], "--help")
    assert str(settings.storage.root) == STORAGE
    assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {STORAGE, str(Path(SETTINGS).parent)}
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert settings.database_url in DATABASE
    redis = of_kind(manifests, "Service")["lab-redis"]["spec"]["ports"][0]["port"]
    assert settings.broker_url == f"redis://lab-redis:{redis}/0"


@pytest.mark.peer("helm")
def test_the_charts_ports_are_those_of_the_settings() -> None:
    manifests = rendered("dicomPort=4444", "consolePort=5555")
    (container,) = of_kind(manifests, "Deployment")["lab-node"]["spec"]["template"]["spec"]["containers"]
    stated = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert {port["containerPort"] for port in container["ports"]} == {4444, 5555}
    assert (stated["GLAM_NODE__NODE__PORT"], stated["GLAM_NODE__CONSOLE__PORT"]) == ("4444", "5555")
    services = of_kind(manifests, "Service")
    assert [services[name]["spec"]["ports"][0]["port"] for name in ("lab-dicom", "lab-metrics")] == [4444, 5555]


@pytest.mark.peer("helm")
def test_every_service_finds_its_pods_and_their_ports() -> None:
    manifests = rendered()
    pods = [one["spec"]["template"] for one in of_kind(manifests, "Deployment").values()]
    for service in of_kind(manifests, "Service").values():
        selector = service["spec"]["selector"].items()
        (pod,) = [pod for pod in pods if selector <= pod["metadata"]["labels"].items()]
        named = {port["name"] for container in pod["spec"]["containers"] for port in container["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= named


@pytest.mark.peer("helm")
def test_no_pod_is_more_than_it_needs_to_be() -> None:
    for deployment in of_kind(rendered(), "Deployment").values():
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
