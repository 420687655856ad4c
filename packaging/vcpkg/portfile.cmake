# The sources are beside this port, in a checkout of libtrophy: vcpkg install trophy --overlay-ports=packaging/vcpkg.
# In vcpkg's own registry this line becomes vcpkg_from_github() with the release's tag.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../.." ABSOLUTE)

# Rust is not among vcpkg's own tools.
find_program(CARGO cargo HINTS "$ENV{CARGO_HOME}/bin" "$ENV{HOME}/.cargo/bin" "$ENV{USERPROFILE}/.cargo/bin" REQUIRED)

vcpkg_cmake_configure(
    SOURCE_PATH "${SOURCE_PATH}"
    OPTIONS
        "-DTROPHY_CARGO=${CARGO}"
        -DTROPHY_INSTALL=ON
    OPTIONS_DEBUG
        -DTROPHY_PROFILE=dev
)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(PACKAGE_NAME trophy CONFIG_PATH lib/cmake/trophy)
vcpkg_fixup_pkgconfig()
vcpkg_copy_pdbs()

file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share")
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST
    "${SOURCE_PATH}/LICENSE-MIT"
    "${SOURCE_PATH}/LICENSE-APACHE"
    "${SOURCE_PATH}/THIRD-PARTY-NOTICES.txt"
)
