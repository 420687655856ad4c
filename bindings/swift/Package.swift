// swift-tools-version: 6.0
import PackageDescription

let package = Package(
    name: "Trophy",
    platforms: [.macOS(.v13), .iOS(.v16)],
    products: [.library(name: "Trophy", targets: ["Trophy"])],
    targets: [
        // The installed libtrophy, as pkg-config tells where it is.
        .systemLibrary(name: "CTrophy", pkgConfig: "trophy"),
        .target(name: "Trophy", dependencies: ["CTrophy"]),
        .executableTarget(name: "Example", dependencies: ["Trophy"]),
        // A program whose ends the tests watch.
        .executableTarget(name: "Ending", dependencies: ["Trophy"], path: "Tests/Ending"),
        .testTarget(name: "TrophyTests", dependencies: ["Trophy"]),
    ]
)
