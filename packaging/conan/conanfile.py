"""conan create packaging/conan: libtrophy, built with cargo by its CMakeLists.txt. shared=True for the shared library."""

import os
import re
import shutil

from conan import ConanFile
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load, rmdir

ROOT = os.path.join("..", "..")


class Trophy(ConanFile):
    name = "trophy"
    description = "Client library with a C ABI for Trophy, the hosted gamification service"
    homepage = "https://trophy.so"
    license = "MIT OR Apache-2.0"
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False]}
    default_options = {"shared": False}

    def set_version(self):
        manifest = load(self, os.path.join(self.recipe_folder, ROOT, "Cargo.toml"))
        self.version = re.search(r'^version = "(.*)"', manifest, re.M)[1]

    def export_sources(self):
        root = os.path.join(self.recipe_folder, ROOT)
        # cargo looks at every member of the workspace, whichever it builds.
        members = re.search(r"^members = \[(.*?)\]", load(self, os.path.join(root, "Cargo.toml")), re.M | re.S)[1]
        for folder in ("include", "src", "packaging", *re.findall('"(.*?)"', members)):
            copy(self, "*", os.path.join(root, folder), os.path.join(self.export_sources_folder, folder))
        # One by one: copy() would look for them in target/ too.
        for name in ("Cargo.toml", "Cargo.lock", "CMakeLists.txt", "build.rs", "cbindgen.toml", "LICENSE-MIT", "LICENSE-APACHE",
                     "THIRD-PARTY-NOTICES.txt"):
            shutil.copy2(os.path.join(root, name), self.export_sources_folder)

    def configure(self):
        # It is C, whatever compiles C++.
        self.settings.rm_safe("compiler.cppstd")
        self.settings.rm_safe("compiler.libcxx")

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["TROPHY_INSTALL"] = True
        toolchain.cache_variables["TROPHY_PROFILE"] = "dev" if self.settings.build_type == "Debug" else "release"
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE-*", self.source_folder, os.path.join(self.package_folder, "licenses"))
        copy(self, "THIRD-PARTY-NOTICES.txt", self.source_folder, os.path.join(self.package_folder, "licenses"))
        lib = os.path.join(self.package_folder, "lib")
        # Conan writes its own for those who use the package, and a package has one library.
        rmdir(self, os.path.join(lib, "cmake"))
        rmdir(self, os.path.join(lib, "pkgconfig"))
        static = "trophy.lib" if self.settings.get_safe("compiler") == "msvc" else "libtrophy.a"
        for name in os.listdir(lib):
            if (name == static) == bool(self.options.shared):
                os.remove(os.path.join(lib, name))

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "trophy")
        self.cpp_info.set_property("cmake_target_name", "trophy::trophy" if self.options.shared else "trophy::static")
        self.cpp_info.set_property("pkg_config_name", "trophy")
        windows = self.settings.os == "Windows"
        if self.options.shared:
            self.cpp_info.libs = ["trophy.dll"] if windows else ["trophy"]
            return
        self.cpp_info.libs = ["trophy"]
        self.cpp_info.defines = ["TROPHY_STATIC"]
        if windows:
            self.cpp_info.system_libs = ["kernel32", "ntdll", "userenv", "ws2_32", "dbghelp", "crypt32", "secur32", "ncrypt"]
        elif self.settings.os in ("Macos", "iOS", "tvOS"):
            self.cpp_info.frameworks = ["Security", "CoreFoundation"]
            self.cpp_info.system_libs = ["iconv", "System"]
        elif self.settings.os == "Linux":
            self.cpp_info.system_libs = ["gcc_s", "util", "rt", "pthread", "m", "dl"]
