//! Writes include/trophy.h from the exported functions and the table, and names the shared library.
//!
//! The header: prologue.h with the version, a macro for each operation, and what cbindgen makes of
//! src/ffi/, section by section.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use cbindgen::{Builder, Config, ItemType};

#[allow(dead_code)]
#[path = "src/api/operations.rs"]
mod operations;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The sections of functions: a title and the files in src/ffi/.
const SECTIONS: &[(&str, &[&str])] = &[
    ("Library", &["library.rs"]),
    ("Client: safe from any thread", &["client.rs"]),
    (
        "The main job: one event, three ways, one parameter list",
        &["events.rs"],
    ),
    ("The queue", &["queue.rs"]),
    ("Every operation: by name, arguments as JSON", &["call.rs"]),
    (
        "The other 26 application operations",
        &[
            "operations/achievements.rs",
            "operations/users.rs",
            "operations/streaks.rs",
            "operations/points.rs",
            "operations/leaderboards.rs",
        ],
    ),
    ("Webhooks", &["webhooks.rs"]),
    (
        "Reading JSON without a JSON library, and writing a string safely",
        &["json.rs"],
    ),
];

fn main() -> Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    for path in [
        "build.rs",
        "cbindgen.toml",
        "include/trophy.h",
        "src/error.rs",
        "src/ffi",
        "src/host/log.rs",
        "src/api/operations.rs",
    ] {
        println!("cargo:rerun-if-changed={path}");
    }
    let header = header(&root)?;
    // For the test that compares it with the committed one.
    fs::write(Path::new(&env::var("OUT_DIR")?).join("trophy.h"), &header)?;
    write_if_changed(&root.join("include/trophy.h"), &header);
    name_library()
}

/// A source folder that cannot be written to, as packagers have it, is no reason to fail.
fn write_if_changed(path: &Path, text: &str) {
    if fs::read_to_string(path).is_ok_and(|before| before == text) {
        return;
    }
    let written = path
        .parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(path, text));
    if let Err(error) = written {
        println!("cargo:warning={} is out of date: {error}", path.display());
    }
}

fn header(root: &Path) -> Result<String> {
    let mut out = fill_in_version(&fs::read_to_string(root.join("src/ffi/prologue.h"))?)?;

    banner(&mut out, "Names of operations, for trophy_call()");
    for operation in operations::all() {
        let (name, method, path) = (operation.name, operation.method.as_str(), operation.path);
        let api = match operation.api {
            operations::Api::Application => "",
            operations::Api::Admin => "admin ",
        };
        writeln!(out, "/** {method} {api}{path} */")?;
        writeln!(out, "#define TROPHY_OP_{} \"{name}\"", name.to_uppercase())?;
    }

    out.push_str("\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n");
    banner(&mut out, "Types");
    let files = [
        "error.rs",
        "host/log.rs",
        "ffi/pointers.rs",
        "ffi/callback.rs",
    ]
    .map(|file| root.join("src").join(file));
    let types = [ItemType::Enums, ItemType::OpaqueItems, ItemType::Typedefs];
    out.push_str(&c_of(root, &files, &types)?);
    for (title, files) in SECTIONS {
        banner(&mut out, title);
        let files: Vec<_> = files
            .iter()
            .map(|file| root.join("src/ffi").join(file))
            .collect();
        out.push_str(&c_of(root, &files, &[ItemType::Functions])?);
    }
    out.push_str("\n#ifdef __cplusplus\n}\n#endif\n\n#endif /* TROPHY_H */\n");
    Ok(out)
}

fn banner(out: &mut String, title: &str) {
    let line = "-".repeat(100usize.saturating_sub(title.chars().count()));
    out.push_str(&format!("\n/* ---- {title} {line} */\n\n"));
}

fn fill_in_version(text: &str) -> Result<String> {
    let part =
        |name: &str| -> Result<u32> { Ok(env::var(format!("CARGO_PKG_VERSION_{name}"))?.parse()?) };
    let (major, minor, patch) = (part("MAJOR")?, part("MINOR")?, part("PATCH")?);
    Ok(text
        .replace("@VERSION@", &env::var("CARGO_PKG_VERSION")?)
        .replace("@MAJOR@", &major.to_string())
        .replace("@MINOR@", &minor.to_string())
        .replace("@PATCH@", &patch.to_string())
        .replace(
            "@NUMBER@",
            &(major * 1_000_000 + minor * 1_000 + patch).to_string(),
        ))
}

/// The items of these kinds in these files, as C.
fn c_of(root: &Path, files: &[PathBuf], kinds: &[ItemType]) -> Result<String> {
    let mut config = Config::from_file(root.join("cbindgen.toml"))?;
    // Only enums know C++: a sized one there, an integer and constants in C.
    config.cpp_compat = kinds.contains(&ItemType::Enums);
    config.export.item_types = kinds.to_vec();
    let mut builder = Builder::new().with_config(config);
    for file in files {
        builder = builder.with_src(file);
    }
    let mut out = Vec::new();
    builder.generate()?.write(&mut out);
    // C++ wants [[nodiscard]] before all else.
    let text = String::from_utf8(out)?
        .replace(
            "TROPHY_API\nTROPHY_MUST_USE\n",
            "TROPHY_MUST_USE TROPHY_API\n",
        )
        .replace("TROPHY_API TROPHY_MUST_USE ", "TROPHY_MUST_USE TROPHY_API ");
    Ok(text.trim().to_owned() + "\n")
}

/// The name that programs look for at run time, whatever the file is called; and the library stays
/// loaded after dlclose(), since its fork handler and thread-locals would outlive its code. All it needs is found when
/// it is linked, but for a sanitizer's functions, which the program has.
fn name_library() -> Result<()> {
    let major = env::var("CARGO_PKG_VERSION_MAJOR")?;
    let has_sanitizer = env::var_os("CARGO_CFG_SANITIZE").is_some();
    let of_elf = |name: &str| {
        vec![
            format!("-Wl,-soname,{name}"),
            "-Wl,-z,nodelete".to_owned(),
            "-Wl,-z,defs".to_owned(),
        ]
    };
    let mut arguments = match env::var("CARGO_CFG_TARGET_OS")?.as_str() {
        "linux" | "freebsd" => of_elf(&format!("libtrophy.so.{major}")),
        // An app's package takes only files whose name ends in .so.
        "android" => of_elf("libtrophy.so"),
        // src/host/sys sees to it that the library stays.
        "macos" | "ios" | "tvos" | "watchos" | "visionos" => {
            vec![format!("-Wl,-install_name,@rpath/libtrophy.{major}.dylib")]
        }
        // So does it on Windows, where a DLL has no name but its file's.
        _ => Vec::new(),
    };
    arguments.retain(|argument| !(has_sanitizer && argument.ends_with("defs")));
    for argument in arguments {
        println!("cargo:rustc-cdylib-link-arg={argument}");
    }
    Ok(())
}
