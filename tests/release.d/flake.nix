# kv for Nix: nix run 'REPOSITORY?dir=tests/release.d', where REPOSITORY is such as github:NAME/kv
{
  description = "Key-value store for the Unix shell: one binary, no daemon, no setup";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixpkgs-unstable";

  outputs =
    { nixpkgs, ... }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      root = ../..;
      manifest = (nixpkgs.lib.importTOML (root + "/Cargo.toml")).package;
      build =
        pkgs:
        pkgs.rustPlatform.buildRustPackage {
          pname = manifest.name;
          inherit (manifest) version;
          src = root;
          cargoLock.lockFile = root + "/Cargo.lock";
          nativeBuildInputs = [ pkgs.installShellFiles ];
          # They want a machine of their own: tests/run.
          doCheck = false;
          # Nix has no static glibc beside the one it builds with.
          postPatch = "rm -r .cargo";
          postInstall = ''
            ln -s kv $out/bin/kvsh
            installManPage man/*
            installShellCompletion completions/kv.bash completions/kv.fish completions/_kv
          '';
          meta = {
            inherit (manifest) description;
            mainProgram = "kv";
            license = with pkgs.lib.licenses; [
              mit
              asl20
            ];
          };
        };
    in
    {
      packages = nixpkgs.lib.genAttrs systems (system: {
        default = build nixpkgs.legacyPackages.${system};
      });
    };
}
