#!/bin/sh
# Makes Trophy.xcframework, the static library for macOS, iOS and its simulator, and a Swift package of it, in
# target/xcframework. On a Mac with Xcode and rustup; elsewhere it exits 77. It was never run by the project.
set -eu
cd "$(dirname "$0")/../.."
command -v xcodebuild >/dev/null 2>&1 || { echo "skipped: no Xcode"; exit 77; }
out=target/xcframework
rm -rf "$out"
mkdir -p "$out/include"
cp include/trophy.h "$out/include/"
printf 'module CTrophy {\n    header "trophy.h"\n    export *\n}\n' >"$out/include/module.modulemap"

build() { # build TARGET
    rustup target add "$1"
    cargo rustc --release --lib --crate-type staticlib --target "$1"
}
# An archive of one object, of which nothing but trophy_* is seen.
hide() { # hide OUT ARCHITECTURE SDK TARGET
    ld -r -all_load -arch "$2" -exported_symbol '_trophy_*' -syslibroot "$(xcrun --sdk "$3" --show-sdk-path)" \
        -o "$1.o" "target/$4/release/libtrophy.a"
    libtool -static -o "$1" "$1.o"
    rm "$1.o"
}

for target in aarch64-apple-darwin x86_64-apple-darwin aarch64-apple-ios aarch64-apple-ios-sim; do
    build "$target"
done
mkdir "$out/macos" "$out/ios" "$out/simulator"
hide "$out/arm64.a" arm64 macosx aarch64-apple-darwin
hide "$out/x86_64.a" x86_64 macosx x86_64-apple-darwin
lipo -create "$out/arm64.a" "$out/x86_64.a" -output "$out/macos/libtrophy.a"
rm "$out/arm64.a" "$out/x86_64.a"
hide "$out/ios/libtrophy.a" arm64 iphoneos aarch64-apple-ios
hide "$out/simulator/libtrophy.a" arm64 iphonesimulator aarch64-apple-ios-sim
xcodebuild -create-xcframework -output "$out/CTrophy.xcframework" \
    -library "$out/macos/libtrophy.a" -headers "$out/include" \
    -library "$out/ios/libtrophy.a" -headers "$out/include" \
    -library "$out/simulator/libtrophy.a" -headers "$out/include"
cat >"$out/Package.swift" <<'END'
// swift-tools-version:5.9
import PackageDescription

let package = Package(
    name: "CTrophy",
    platforms: [.macOS(.v11), .iOS(.v14)],
    products: [.library(name: "CTrophy", targets: ["CTrophy"])],
    targets: [.binaryTarget(name: "CTrophy", path: "CTrophy.xcframework")])
END
echo "$out"
