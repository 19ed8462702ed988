#!/bin/sh
# Installs kv: the program, its man pages and completions, below a directory of yours. No root is needed.
#
#   sh install.sh [DIRECTORY]       ~/.local otherwise
#
# KV_URL names another place that has the archive and SHA256SUMS. What was downloaded is compared with
# SHA256SUMS before anything is installed; who signed these is told by the page of the release.
set -eu

version=@VERSION@
url=${KV_URL:-@REPOSITORY@/releases/download/v$version}
prefix=${1:-$HOME/.local}

die() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

has() {
  command -v "$1" >/dev/null 2>&1
}

case $(uname -s) in
Linux) system=unknown-linux-musl ;;
Darwin) system=apple-darwin ;;
FreeBSD) system=unknown-freebsd ;;
*) die "there is no archive for $(uname -s): use cargo install kvsh" ;;
esac
case $(uname -m) in
x86_64 | amd64) arch=x86_64 ;;
aarch64 | arm64) arch=aarch64 ;;
*) die "there is no archive for $(uname -m): use cargo install kvsh" ;;
esac
name=kv-$version-$arch-$system

# fetch FILE: downloads it into the directory of this run.
fetch() {
  if has curl; then
    curl -fsSL -o "$work/$1" "$url/$1"
  elif has wget; then
    wget -q -O "$work/$1" "$url/$1"
  else
    die 'neither curl nor wget is installed'
  fi || die "cannot download $url/$1"
}

# sum FILE: prints its SHA-256.
sum() {
  if has sha256sum; then
    sha256sum <"$1"
  elif has shasum; then
    shasum -a 256 <"$1"
  elif has sha256; then
    sha256 <"$1"
  else
    die 'neither sha256sum, shasum nor sha256 is installed: the archive cannot be verified'
  fi | sed 's/ .*//'
}

work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
trap 'exit 1' HUP INT TERM
fetch SHA256SUMS
fetch "$name.tar.gz"
expected=$(sed -n "s/^\([0-9a-f]\{64\}\) [ *]$name\.tar\.gz\$/\1/p" "$work/SHA256SUMS")
[ -n "$expected" ] || die "SHA256SUMS does not name $name.tar.gz"
found=$(sum "$work/$name.tar.gz")
[ "$found" = "$expected" ] || die "$name.tar.gz is not what SHA256SUMS says: nothing was installed"

gzip -dc "$work/$name.tar.gz" | (cd "$work" && tar -xf -)
"$work/$name/bin/kv" --version >/dev/null || die 'the program does not run here: nothing was installed'
mkdir -p "$prefix/bin" "$prefix/share"
# In one step each: a kv that runs goes on.
cp "$work/$name/bin/kv" "$prefix/bin/kv.new"
mv -f "$prefix/bin/kv.new" "$prefix/bin/kv"
ln -sf kv "$prefix/bin/kvsh"
cp -R "$work/$name/share/." "$prefix/share/"

printf 'kv %s is installed: %s\n' "$version" "$prefix/bin/kv"
case :$PATH: in
*:"$prefix/bin":*)
  first=$(command -v kv || true)
  [ "$first" = "$prefix/bin/kv" ] || printf 'but kv is %s in your PATH; kvsh is this one\n' "$first"
  ;;
*) printf 'add %s to your PATH\n' "$prefix/bin" ;;
esac
