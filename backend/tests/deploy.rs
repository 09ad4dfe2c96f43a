//! What `deploy/` says, against the server and against itself: every file parses, and names only what there is.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use vereda_server::Config;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(deploy().join(path)).expect(path)
}

fn documents(path: &str) -> Vec<Json> {
    serde_saphyr::from_multiple(&read(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn yaml(path: &str) -> Json {
    let mut all = documents(path);
    assert_eq!(all.len(), 1, "{path}");
    all.remove(0)
}

fn texts(list: &Json) -> Vec<&str> {
    list.as_array().into_iter().flatten().map(|item| item.as_str().expect("a text")).collect()
}

fn keys(map: &Json) -> BTreeSet<&str> {
    map.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect()
}

fn items(list: &Json) -> &[Json] {
    list.as_array().map_or(&[], Vec::as_slice)
}

/// The settings as the server itself reads them, with secrets from the environment.
fn settings(text: &str, environment: &[(&str, &str)]) -> Config {
    let given: BTreeMap<_, _> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::from_parts(text, &given).unwrap()
}

#[test]
fn the_composition_names_only_what_there_is() {
    let compose = yaml("compose/compose.yaml");
    let services = compose["services"].as_object().unwrap();
    let made = read("compose/secrets.sh");
    let mut used: BTreeSet<&str> = BTreeSet::new();
    for (name, service) in services {
        let at = |what: &str| format!("{name}: {what}");
        // YAML's merge key is resolved or left; either way the rules must hold for it.
        let get = |key: &str| service.get(key).or_else(|| service["<<"].get(key)).unwrap_or(&Json::Null);
        assert_eq!(get("read_only"), true, "{}", at("read_only"));
        assert_eq!(texts(get("cap_drop")), ["ALL"], "{}", at("cap_drop"));
        assert_eq!(texts(get("security_opt")), ["no-new-privileges:true"], "{}", at("security_opt"));
        let user = get("user").as_str().expect("a user");
        assert!(user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)), "{}", at(user));
        let (image, tag) = get("image").as_str().unwrap().rsplit_once(':').expect("a tag");
        assert!(!image.is_empty() && tag != "latest", "{}", at("the image is not pinned"));
        for secret in texts(get("secrets")) {
            let file =
                compose["secrets"][secret]["file"].as_str().unwrap_or_else(|| panic!("{}", at(secret)));
            let file = file.strip_prefix("./secrets/").expect("a file that is not in git");
            assert!(made.contains(file), "{}", at("secrets.sh does not make its secret"));
            used.insert(secret);
        }
        for network in texts(get("networks")) {
            assert!(keys(&compose["networks"]).contains(network), "{}", at(network));
        }
        for volume in texts(get("volumes")) {
            let (from, _) = volume.split_once(':').unwrap();
            if from.starts_with('.') {
                assert!(deploy().join("compose").join(from).exists(), "{}", at(from));
                assert!(volume.ends_with(":ro"), "{}", at(volume));
            } else {
                assert!(keys(&compose["volumes"]).contains(from), "{}", at(from));
            }
        }
        let depends = get("depends_on");
        let before: Vec<&str> =
            if depends.is_array() { texts(depends) } else { keys(depends).into_iter().collect() };
        for other in before {
            let other_service = services.get(other).unwrap_or_else(|| panic!("{}", at(other)));
            if depends[other]["condition"] == "service_healthy" {
                assert!(other_service.get("healthcheck").is_some(), "{}", at(other));
            }
        }
    }
    assert_eq!(used, keys(&compose["secrets"]), "secrets that nobody uses");
    assert_eq!(read("compose/.gitignore").trim(), "/secrets/");

    let server = &compose["services"]["server"];
    let context = deploy().join("compose").join(server["build"]["context"].as_str().unwrap());
    assert!(context.join(server["build"]["dockerfile"].as_str().unwrap()).exists());
    let config = settings(&read("compose/server.toml"), &[]);
    let published = server["ports"][0].as_str().unwrap().rsplit_once(':').unwrap().1;
    assert_eq!(published, config.listen.port().to_string());
    assert!(config.tls.is_on());
    let volume = server["volumes"][0].as_str().unwrap();
    assert_eq!(Path::new(volume.split_once(':').unwrap().1), config.data_dir);
    for (file, secret) in [(&config.tls.certificate, "tls.crt"), (&config.tls.key, "tls.key")] {
        assert_eq!(file, &Path::new("/run/secrets").join(secret));
        assert!(texts(&server["secrets"]).contains(&secret));
    }
    let grace: u64 = server["stop_grace_period"].as_str().unwrap().trim_end_matches('s').parse().unwrap();
    assert!(grace * 1000 > config.limits.drain_ms);
    for (url, service) in [(&config.database.url, "postgres"), (&config.redis.url, "redis")] {
        assert!(url.contains(&format!("@{service}:")) && services.contains_key(service), "{service}");
        let reach = |name: &str| texts(&services[name]["networks"]).into_iter().collect::<BTreeSet<_>>();
        assert!(!reach("server").is_disjoint(&reach(service)), "no way from the server to {service}");
    }

    let prometheus = yaml("compose/prometheus.yml");
    let scrape = &prometheus["scrape_configs"][0];
    assert_eq!(scrape["job_name"], "vereda", "alert rules and dashboards go by it");
    let target = format!("server:{}", config.metrics_listen.port());
    assert_eq!(texts(&scrape["static_configs"][0]["targets"]), [target]);
    let mounts = texts(&services["prometheus"]["volumes"]);
    for rules in texts(&prometheus["rule_files"]) {
        assert!(mounts.iter().any(|mount| mount.ends_with(&format!(":{rules}:ro"))), "{rules}");
    }
    let dashboards = yaml("compose/grafana/dashboards.yml");
    let folder = dashboards["providers"][0]["options"]["path"].as_str().unwrap();
    assert!(texts(&services["grafana"]["volumes"]).contains(&format!("../grafana:{folder}:ro").as_str()));
    for source in items(&yaml("compose/grafana/datasources.yml")["datasources"]) {
        let url = source["url"].as_str().unwrap();
        let host = url.strip_prefix("http://").unwrap().split(':').next().unwrap();
        assert!(services.contains_key(host), "{url}");
    }
    let shipping = yaml("compose/fluent-bit.yaml");
    let to = &shipping["pipeline"]["outputs"][0];
    assert!(services.contains_key(to["host"].as_str().unwrap()));
    assert_eq!(to["port"], yaml("compose/loki.yml")["server"]["http_listen_port"]);
    let address = server["logging"]["options"]["fluentd-address"].as_str().unwrap();
    let port = shipping["pipeline"]["inputs"][0]["port"].to_string();
    assert_eq!(texts(&services["fluent-bit"]["ports"]), [format!("{address}:{port}")]);
}

/// The script makes what the composition mounts, once, and the server reads it.
#[cfg(unix)]
#[test]
fn secrets_are_made_once_and_the_server_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    for file in ["secrets.sh", "server.toml"] {
        std::fs::copy(deploy().join("compose").join(file), dir.path().join(file)).unwrap();
    }
    // Root may write to any file; whoever runs it in earnest is somebody else.
    let mut sh = Command::new("sh");
    if std::os::unix::fs::MetadataExt::uid(&dir.path().metadata().unwrap()) == 0 {
        assert!(Command::new("chown").args(["-R", "65534"]).arg(dir.path()).status().unwrap().success());
        sh = Command::new("setpriv");
        sh.args(["--reuid=65534", "--clear-groups", "sh"]);
    }
    sh.arg(dir.path().join("secrets.sh"));
    let mut make = || assert!(sh.status().unwrap().success());
    make();
    let text = |name: &str| std::fs::read_to_string(dir.path().join("secrets").join(name)).expect(name);
    let first = text("server.toml");
    let password = text("postgres_password");
    assert!(password.len() >= 32);
    let config = settings(&first, &[]);
    assert!(config.database.url.contains(&password));
    assert!(config.redis.url.contains(&text("redis_password")));
    assert!(text("redis.conf").contains(&format!("requirepass {}\n", text("redis_password"))));
    for secret in keys(&yaml("compose/compose.yaml")["secrets"]) {
        assert!(!text(secret).is_empty(), "{secret}");
    }
    make();
    assert_eq!(text("server.toml"), first, "made once");
}

#[test]
fn promtool_accepts_what_prometheus_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let told = read("compose/prometheus.yml");
    let rules = deploy().join("prometheus/alerts.yml").canonicalize().unwrap();
    let here = told.replace("/etc/prometheus/rules/alerts.yml", rules.to_str().unwrap());
    assert_ne!(here, told);
    let file = dir.path().join("prometheus.yml");
    std::fs::write(&file, here).unwrap();
    let check = Command::new("promtool").args(["check", "config"]).arg(file).output();
    let check = check
        .expect("promtool is needed, from Debian's package `prometheus`; `cargo xtask test` installs it");
    let said = String::from_utf8_lossy(&check.stdout).into_owned() + &String::from_utf8_lossy(&check.stderr);
    assert!(check.status.success() && said.contains("rules found"), "{said}");
}

#[test]
fn the_manifests_fit_each_other_and_the_server() {
    let base = yaml("kubernetes/kustomization.yaml");
    let named: BTreeSet<&str> = texts(&base["resources"]).into_iter().collect();
    let there = std::fs::read_dir(deploy().join("kubernetes")).unwrap();
    let there: Vec<String> = there.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    let there: BTreeSet<&str> = there
        .iter()
        .map(String::as_str)
        .filter(|name| name.ends_with(".yaml") && *name != "kustomization.yaml")
        .collect();
    assert_eq!(named, there, "kustomization.yaml lists every file");
    let all: Vec<Json> = named.iter().flat_map(|file| documents(&format!("kubernetes/{file}"))).collect();
    let get = |kind: &str, name: &str| {
        let found = all.iter().find(|o| o["kind"] == kind && o["metadata"]["name"] == name);
        found.unwrap_or_else(|| panic!("there is no {kind} {name}"))
    };
    assert!(all.iter().all(|o| o["kind"] != "Secret"), "no secret is in the repository");

    let deployment = get("Deployment", "vereda-server");
    let template = &deployment["spec"]["template"];
    let (pod, labels) = (&template["spec"], &template["metadata"]["labels"]);
    let selectors = [
        &deployment["spec"]["selector"]["matchLabels"],
        &get("Service", "vereda-server")["spec"]["selector"],
        &get("Service", "vereda-server-metrics")["spec"]["selector"],
        &get("PodDisruptionBudget", "vereda-server")["spec"]["selector"]["matchLabels"],
        &get("NetworkPolicy", "vereda-server")["spec"]["podSelector"]["matchLabels"],
        &pod["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
        &pod["topologySpreadConstraints"][1]["labelSelector"]["matchLabels"],
    ];
    for selector in selectors {
        assert_eq!(selector, labels);
    }
    let target = &get("HorizontalPodAutoscaler", "vereda-server")["spec"]["scaleTargetRef"];
    get(target["kind"].as_str().unwrap(), target["name"].as_str().unwrap());
    let account = get("ServiceAccount", pod["serviceAccountName"].as_str().unwrap());
    assert_eq!(account["automountServiceAccountToken"], false);

    // What a namespace under the restricted standard demands, and a root that nobody writes.
    let container = &pod["containers"][0];
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(texts(&container["securityContext"]["capabilities"]["drop"]), ["ALL"]);

    // The settings are the server's own, and the ports are those that it listens on.
    let file = texts(&base["configMapGenerator"][0]["files"])[0];
    let environment: Vec<&str> =
        items(&container["env"]).iter().map(|e| e["name"].as_str().unwrap()).collect();
    let urls = ["postgresql://u@db/v", "redis://r:6379"];
    let given: Vec<_> = environment.iter().copied().zip(urls).collect();
    let config = settings(&read(&format!("kubernetes/{file}")), &given);
    assert_eq!((config.database.url.as_str(), config.redis.url.as_str()), (urls[0], urls[1]));
    for variable in items(&container["env"]) {
        assert!(variable["valueFrom"]["secretKeyRef"]["name"].is_string(), "by reference: {variable}");
        assert!(variable.get("value").is_none());
    }
    let ports: BTreeMap<&str, u64> = items(&container["ports"])
        .iter()
        .map(|port| (port["name"].as_str().unwrap(), port["containerPort"].as_u64().unwrap()))
        .collect();
    let listens = [("api", config.listen), ("metrics", config.metrics_listen)];
    assert_eq!(ports, listens.map(|(name, address)| (name, u64::from(address.port()))).into());
    assert_eq!(template["metadata"]["annotations"]["prometheus.io/port"], ports["metrics"].to_string());
    for (probe, path) in
        [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")]
    {
        assert_eq!(container[probe]["httpGet"]["path"], path);
        assert_eq!(container[probe]["httpGet"]["port"], "metrics");
    }
    let pause = container["lifecycle"]["preStop"]["sleep"]["seconds"].as_u64().unwrap();
    let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(grace * 1000 > pause * 1000 + config.limits.drain_ms);

    // Mounts: the settings where the program is told to look, the keys where the server keeps them.
    let volumes: BTreeMap<&str, &Json> =
        items(&pod["volumes"]).iter().map(|v| (v["name"].as_str().unwrap(), v)).collect();
    let mounts: BTreeMap<&str, &Path> = items(&container["volumeMounts"])
        .iter()
        .map(|m| (m["name"].as_str().unwrap(), Path::new(m["mountPath"].as_str().unwrap())))
        .collect();
    assert_eq!(volumes.keys().collect::<Vec<_>>(), mounts.keys().collect::<Vec<_>>());
    assert_eq!(volumes["config"]["configMap"]["name"], base["configMapGenerator"][0]["name"]);
    assert_eq!(Path::new(texts(&container["args"])[2]), mounts["config"].join(file));
    assert_eq!(mounts["state"], config.data_dir);
    assert_eq!(mounts["keys"], config.data_dir.join("keys"));

    // Every way in leads to a port by a name that there is.
    let service = get("Service", "vereda-server");
    for port in items(&service["spec"]["ports"]) {
        assert_eq!(port["targetPort"], "api", "the outside reaches the API alone");
    }
    let metrics = &get("Service", "vereda-server-metrics")["spec"]["ports"][0];
    assert_eq!(
        (metrics["targetPort"].as_str(), metrics["port"].as_u64()),
        (Some("metrics"), Some(ports["metrics"]))
    );
    let backend =
        &get("Ingress", "vereda-server")["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"];
    assert_eq!(backend["name"], "vereda-server");
    assert_eq!(backend["port"]["name"], service["spec"]["ports"][0]["name"]);
    let nothing = &get("NetworkPolicy", "nothing")["spec"];
    assert_eq!(nothing["podSelector"], serde_json::json!({}));
    assert!(nothing.get("ingress").is_none() && nothing.get("egress").is_none());
    let rules = &get("NetworkPolicy", "vereda-server")["spec"];
    for rule in items(&rules["ingress"]) {
        let port = rule["ports"][0]["port"].as_str().unwrap();
        assert!(ports.contains_key(port) && rule["from"].is_array(), "{rule}");
    }
    let out: BTreeSet<u64> = items(&rules["egress"])
        .iter()
        .flat_map(|rule| items(&rule["ports"]))
        .map(|port| port["port"].as_u64().unwrap())
        .collect();
    assert_eq!(out, [53, 5432, 6379].into(), "names, PostgreSQL and Redis");
}

/// Replicas get the keys as files that they cannot write, with folders and links of Kubernetes beside them.
#[cfg(unix)]
#[tokio::test]
async fn a_server_starts_on_keys_mounted_as_kubernetes_does() {
    let dir = tempfile::tempdir().unwrap();
    let start = async |data: PathBuf| {
        let free = "127.0.0.1:0".parse().unwrap();
        let config = Config { listen: free, metrics_listen: free, data_dir: data, ..Config::default() };
        vereda_server::server::start(config).await
    };
    let made = dir.path().join("made");
    drop(start(made.clone()).await.unwrap());
    let mounted = dir.path().join("pod/keys");
    std::fs::create_dir_all(mounted.join("..2026_01_01")).unwrap();
    std::os::unix::fs::symlink("..2026_01_01", mounted.join("..data")).unwrap();
    for entry in std::fs::read_dir(made.join("keys")).unwrap() {
        let entry = entry.unwrap();
        let kept = mounted.join("..2026_01_01").join(entry.file_name());
        std::fs::copy(entry.path(), &kept).unwrap();
        let mut permissions = std::fs::metadata(&kept).unwrap().permissions();
        permissions.set_readonly(true);
        std::fs::set_permissions(&kept, permissions).unwrap();
        let link = Path::new("..data").join(entry.file_name());
        std::os::unix::fs::symlink(link, mounted.join(entry.file_name())).unwrap();
    }
    let before = std::fs::read_dir(&mounted).unwrap().count();
    let running = start(dir.path().join("pod")).await.unwrap();
    let ready = reqwest::get(format!("http://{}/readyz", running.metrics_addr)).await.unwrap();
    assert_eq!(ready.status(), 200);
    assert_eq!(std::fs::read_dir(&mounted).unwrap().count(), before, "no key of its own");
}

/// What the image is built from is there, and runs as the user that the manifests name.
#[test]
fn the_image_is_built_from_what_is_there() {
    let file = read("container/Containerfile");
    let user = file.lines().find_map(|line| line.strip_prefix("USER ")).expect("a user");
    assert_eq!(yaml("compose/compose.yaml")["services"]["server"]["user"], user);
    let pod = documents("kubernetes/deployment.yaml").remove(1)["spec"]["template"]["spec"].clone();
    let context = &pod["securityContext"];
    assert_eq!(format!("{}:{}", context["runAsUser"], context["runAsGroup"]), user);
    let all = |what: &str| -> Vec<&str> { file.lines().filter_map(|line| line.strip_prefix(what)).collect() };
    // Images are arguments, so that others can stand in; what is built without any is pinned.
    let defaults: BTreeMap<&str, &str> =
        all("ARG ").iter().map(|line| line.split_once('=').expect("a default")).collect();
    assert_eq!(defaults.keys().copied().collect::<Vec<_>>(), ["BASE", "TOOLCHAIN"], "xtask gives them");
    for line in all("FROM ") {
        let image = line.split(' ').next().unwrap();
        let name = image.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let image = name.map_or(image, |name| defaults[name]);
        assert!(image.contains(':') && !image.ends_with(":latest"), "{image} is not pinned");
    }
    // `cargo xtask image` gives a folder in the place of this stage.
    assert!(all("FROM ").contains(&"${TOOLCHAIN} AS build"), "{file}");
    let copied = all("COPY --from=build ");
    assert_eq!(copied.len(), 2);
    assert!(copied.iter().all(|line| line.contains("/out/")), "{copied:?}");
    // Ports and folders are those of the settings and of the mounts.
    let container = &pod["containers"][0];
    let ports: Vec<String> =
        items(&container["ports"]).iter().map(|port| port["containerPort"].to_string()).collect();
    assert_eq!(all("EXPOSE "), [ports.join(" ")]);
    let folder = &all("VOLUME ")[0];
    assert_eq!(all("ENV "), [format!("VEREDA_DATA_DIR={folder}")]);
    assert_eq!(all("WORKDIR ").last(), Some(folder));
    assert!(items(&container["volumeMounts"]).iter().any(|mount| mount["mountPath"] == *folder));
    assert_eq!(
        serde_json::from_str::<Json>(all("ENTRYPOINT ")[0]).unwrap(),
        serde_json::json!(["/usr/bin/vereda-server"])
    );
    assert_eq!(all("STOPSIGNAL "), ["SIGTERM"]);
    // The context is a list of what goes in: every member of the workspace must be below one of them.
    let root = deploy().join("..");
    let ignore = std::fs::read_to_string(root.join(".dockerignore")).unwrap();
    let taken: Vec<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    for place in &taken {
        assert!(root.join(place).exists(), "{place}");
    }
    let cargo: toml::Table = std::fs::read_to_string(root.join("Cargo.toml")).unwrap().parse().unwrap();
    for member in cargo["workspace"]["members"].as_array().unwrap() {
        let top = member.as_str().unwrap().split('/').next().unwrap();
        assert!(taken.contains(&top), "{top} is not in the build's context");
    }
}
