//! What others publish a release by says what the release has: tests/release.d and .github.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use walkdir::WalkDir;

use crate::harness::{Sandbox, cannot_run, has_program};

const VERSION: &str = env!("CARGO_PKG_VERSION");
const REPOSITORY: &str = "https://example.org/owner/kv";
const TEXTS: [&str; 5] = ["install.sh", "kv.rb", "PKGBUILD", "APKBUILD", "Dockerfile"];
/// What the release workflow makes archives for.
const TARGETS: [&str; 5] = [
    "aarch64-apple-darwin",
    "aarch64-unknown-linux-musl",
    "x86_64-apple-darwin",
    "x86_64-unknown-freebsd",
    "x86_64-unknown-linux-musl",
];

fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn text(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
}

fn done(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {status}\n{stderr}");
    String::from_utf8(stdout).unwrap()
}

/// Makes the artefacts of a release, with a script for the program, and has the texts filled in. `None`
/// where a tool is missing.
fn release(kv: &Sandbox) -> Option<PathBuf> {
    if let Some(tool) = ["bash", "git", "gzip", "tar", "sha512sum"]
        .into_iter()
        .find(|tool| !has_program(tool))
    {
        cannot_run(&format!("{tool} is not installed"));
        return None;
    }
    let program = kv.path("program");
    fs::write(&program, format!("#!/bin/sh\necho kv {VERSION}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let dir = kv.path("artefacts");
    fs::create_dir(&dir).unwrap();
    for target in TARGETS {
        let mut tarball = Command::new(project("tests/release.d/tarball"));
        tarball.env("SOURCE_DATE_EPOCH", "1700000000");
        let made = done(tarball.arg(&program).arg(target).arg(&dir));
        let name = format!("kv-{VERSION}-{target}.tar.gz");
        assert_eq!(Path::new(made.trim_end()), dir.join(name));
    }
    fs::write(dir.join(format!("kvsh-{VERSION}.crate")), "sources").unwrap();
    let mut fill = Command::new(project("tests/release.d/fill"));
    done(fill.arg(&dir).arg(REPOSITORY));
    Some(dir)
}

#[test]
fn the_texts_name_the_version_the_files_and_their_sums() {
    let kv = Sandbox::new();
    let Some(dir) = release(&kv) else { return };
    let sums = text(dir.join("SHA256SUMS"));
    assert_eq!(sums.lines().count(), TARGETS.len() + 1);
    done(
        Command::new("sha256sum")
            .args(["-c", "SHA256SUMS"])
            .current_dir(&dir),
    );
    for name in TEXTS {
        let filled = text(dir.join("publish").join(name));
        assert!(filled.contains(VERSION), "{name} names no version");
        assert!(filled.contains(REPOSITORY), "{name} names no repository");
        let left = filled.split('@').skip(1).find(|rest| {
            rest.starts_with(|c: char| c.is_ascii_uppercase()) && rest.contains("VERSION")
        });
        assert_eq!(left, None, "{name}");
    }
    let formula = text(dir.join("publish/kv.rb"));
    let lines: Vec<_> = formula.lines().map(str::trim).collect();
    for target in TARGETS.iter().filter(|target| !target.contains("freebsd")) {
        let file = format!("kv-{VERSION}-{target}.tar.gz");
        let url = format!("url \"{REPOSITORY}/releases/download/v{VERSION}/{file}\"");
        let at = lines.iter().position(|line| *line == url);
        let at = at.unwrap_or_else(|| panic!("the formula has no {url}"));
        let sum = sums.lines().find(|line| line.ends_with(&file)).unwrap();
        let sum = sum.split(' ').next().unwrap();
        assert_eq!(lines[at + 1], format!("sha256 \"{sum}\""));
    }
    let script = ". ./PKGBUILD; echo $pkgver ${source[0]} ${sha256sums[0]}; . ./APKBUILD; echo $pkgver $sha512sums";
    let told = Command::new("bash")
        .args(["-ec", script])
        .current_dir(dir.join("publish"))
        .output();
    let told = String::from_utf8(told.unwrap().stdout).unwrap();
    let file = format!("kvsh-{VERSION}.crate");
    let sum = |program: &str| {
        let line = done(Command::new(program).arg(dir.join(&file)));
        line.split(' ').next().unwrap().to_owned()
    };
    let (sha256, sha512) = (sum("sha256sum"), sum("sha512sum"));
    let url = format!("{REPOSITORY}/releases/download/v{VERSION}/{file}");
    let expected = format!("{VERSION} {url} {sha256}\n{VERSION} {sha512} kvsh-{VERSION}.tar.gz\n");
    assert_eq!(told, expected);
    if !has_program("shellcheck") {
        return cannot_run("shellcheck is not installed");
    }
    let scripts = ["install.sh", "PKGBUILD", "APKBUILD"];
    done(
        Command::new("shellcheck")
            .args(scripts)
            .current_dir(dir.join("publish")),
    );
}

#[test]
fn the_installer_installs_what_the_sums_say_and_nothing_else() {
    let kv = Sandbox::new();
    let Some(dir) = release(&kv) else { return };
    if !has_program("curl") || !has_program("dash") {
        return cannot_run("curl or dash is not installed");
    }
    let install = |to: &Path| {
        let mut install = Command::new("dash");
        install.arg(dir.join("publish/install.sh")).arg(to);
        let url = format!("file://{}", dir.display());
        install.env("KV_URL", url).output().unwrap()
    };
    let prefix = kv.path("with space/prefix");
    let first = install(&prefix);
    assert!(first.status.success(), "{first:?}");
    for name in ["bin/kv", "bin/kvsh"] {
        let told = done(Command::new(prefix.join(name)).arg("--version"));
        assert_eq!(told, format!("kv {VERSION}\n"));
    }
    assert_eq!(
        fs::read_link(prefix.join("bin/kvsh")).unwrap(),
        Path::new("kv")
    );
    for name in [
        "share/man/man1/kv-put.1",
        "share/man/man5/kv-format.5",
        "share/man/man7/kv-recipes.7",
        "share/zsh/site-functions/_kv",
    ] {
        assert!(prefix.join(name).is_file(), "{name} is not installed");
    }
    // Over a kv that is there.
    assert!(install(&prefix).status.success());

    for target in TARGETS {
        let archive = dir.join(format!("kv-{VERSION}-{target}.tar.gz"));
        let mut bytes = fs::read(&archive).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        fs::write(archive, bytes).unwrap();
    }
    let second = install(&kv.path("other"));
    assert!(!second.status.success(), "{second:?}");
    let why = String::from_utf8(second.stderr).unwrap();
    assert!(why.contains("is not what SHA256SUMS says"), "{why}");
    assert!(!kv.path("other").exists());
}

#[test]
fn the_same_files_make_the_same_archive() {
    let [one, other] = [Sandbox::new(), Sandbox::new()].map(|kv| {
        let dir = release(&kv)?;
        Some(text(dir.join("SHA256SUMS")))
    });
    assert_eq!(one, other);
}

#[test]
fn the_workflows_know_what_the_project_says() {
    let manifest = text(project("Cargo.toml"));
    let said = |name: &str| {
        let mut values = manifest.lines().filter_map(|line| line.strip_prefix(name));
        values
            .next()
            .unwrap()
            .trim_matches([' ', '=', '"'])
            .to_owned()
    };
    let checks = text(project(".github/workflows/ci.yml"));
    let oldest = format!("cargo +{} check", said("rust-version"));
    assert!(checks.contains(&oldest), "ci.yml has no {oldest}");
    // The Debian packages of tests/run are those of the workflow.
    let run = text(project("tests/run"));
    let (_, needs) = run.split_once("needs=(").unwrap();
    let needs = needs.split(')').next().unwrap().split_whitespace();
    let needs = needs.map(|need| need.split_once(':').unwrap().1);
    let needs: BTreeSet<_> = needs.chain(["bash-completion", "wamerican"]).collect();
    let (_, listed) = checks.split_once("--no-install-recommends \\\n").unwrap();
    let listed = listed.split("- name").next().unwrap().split_whitespace();
    let listed: BTreeSet<_> = listed.filter(|word| *word != "\\").collect();
    assert_eq!(
        listed, needs,
        "the packages of ci.yml are not those of tests/run"
    );

    let release = text(project(".github/workflows/release.yml"));
    let script = text(project("tests/release"));
    for target in TARGETS {
        let is_made =
            release.contains(target) || script.contains(target.split('-').next().unwrap());
        assert!(is_made, "nobody makes an archive for {target}");
    }
    // cargo binstall finds the archives that are made.
    let url = said("pkg-url").replace("{ version }", VERSION);
    let file = url
        .rsplit('/')
        .next()
        .unwrap()
        .replace("{ target }", TARGETS[0]);
    assert_eq!(
        file,
        format!("kv-{VERSION}-{}{{ archive-suffix }}", TARGETS[0])
    );

    let changes = text(project("CHANGELOG.md"));
    let heading = changes
        .lines()
        .find(|line| line.starts_with(&format!("## {VERSION} - ")));
    let date = heading
        .and_then(|line| line.rsplit(" - ").next())
        .unwrap_or_default();
    let is_date = date.len() == 10 && date.bytes().filter(|byte| *byte == b'-').count() == 2;
    assert!(is_date, "the CHANGELOG has no {VERSION} with a date");
}

/// What is built and installed is in the package of the sources, which `include` lists; what only the
/// project's own checks read is not.
#[test]
fn the_source_package_holds_what_a_build_needs() {
    let mut list = Command::new(env!("CARGO"));
    list.args(["package", "--list", "--allow-dirty", "--offline"]);
    let listed = done(list.current_dir(project("")));
    let listed: BTreeSet<_> = listed.lines().map(Path::new).collect();
    let root = project("");
    let files = ["src", "completions", "man"].map(|dir| WalkDir::new(root.join(dir)));
    let files = files.into_iter().flatten().map(Result::unwrap);
    let files = files.filter(|entry| entry.file_type().is_file());
    let files = files.map(walkdir::DirEntry::into_path);
    let single = [".cargo/config.toml", "README.md", "CHANGELOG.md", "LICENSE"];
    for path in files.chain(single.map(project)) {
        let path = path.strip_prefix(&root).unwrap();
        assert!(listed.contains(path), "it lacks {}", path.display());
    }
    assert!(!listed.iter().any(|path| path.starts_with("tests")));
}

/// The packages are made of the archive of a release.
#[test]
fn packages_hold_files_that_are_there() {
    let tarball = text(project("tests/release.d/tarball"));
    let packages = text(project("tests/release.d/nfpm.yaml"));
    let sources: Vec<&str> = packages
        .lines()
        .filter_map(|line| line.split_once("src: ")?.1.split([',', '}']).next())
        .collect();
    assert!(sources.len() > 10, "{sources:?}");
    for source in sources {
        let name = source.trim_end_matches("/*").rsplit('/').next().unwrap();
        assert!(tarball.contains(name), "a package wants {source}");
    }
    for conflict in ["conflicts: [kv]", "depends: [\"!kv\"]"] {
        assert!(packages.contains(conflict), "{conflict}");
    }
}
