# The formula for Homebrew, on macOS and Linux: what the release has, without a compiler.
class Kv < Formula
  desc "Key-value store for the Unix shell: one binary, no daemon, no setup"
  homepage "@REPOSITORY@"
  version "@VERSION@"
  license any_of: ["MIT", "Apache-2.0"]

  on_macos do
    on_arm do
      url "@REPOSITORY@/releases/download/v@VERSION@/kv-@VERSION@-aarch64-apple-darwin.tar.gz"
      sha256 "@SHA256 kv-@VERSION@-aarch64-apple-darwin.tar.gz@"
    end
    on_intel do
      url "@REPOSITORY@/releases/download/v@VERSION@/kv-@VERSION@-x86_64-apple-darwin.tar.gz"
      sha256 "@SHA256 kv-@VERSION@-x86_64-apple-darwin.tar.gz@"
    end
  end

  on_linux do
    on_arm do
      url "@REPOSITORY@/releases/download/v@VERSION@/kv-@VERSION@-aarch64-unknown-linux-musl.tar.gz"
      sha256 "@SHA256 kv-@VERSION@-aarch64-unknown-linux-musl.tar.gz@"
    end
    on_intel do
      url "@REPOSITORY@/releases/download/v@VERSION@/kv-@VERSION@-x86_64-unknown-linux-musl.tar.gz"
      sha256 "@SHA256 kv-@VERSION@-x86_64-unknown-linux-musl.tar.gz@"
    end
  end

  def install
    bin.install "bin/kv", "bin/kvsh"
    man1.install Dir["share/man/man1/*"]
    man5.install Dir["share/man/man5/*"]
    man7.install Dir["share/man/man7/*"]
    bash_completion.install "share/bash-completion/completions/kv"
    zsh_completion.install "share/zsh/site-functions/_kv"
    fish_completion.install "share/fish/vendor_completions.d/kv.fish"
  end

  test do
    ENV["KV_STORE"] = testpath/"store"
    system bin/"kv", "put", "color", "green"
    assert_equal "green", shell_output("#{bin}/kvsh get color")
    assert_equal "kv #{version}", shell_output("#{bin}/kv --version").chomp
  end
end
