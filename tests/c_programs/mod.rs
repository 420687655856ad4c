//! Compiles C programs, links them with the library that Cargo built, and runs them.
#![allow(dead_code)] // each test file uses some

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

pub const WARNINGS: &[&str] = &[
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Werror",
    "-Wshadow",
    "-Wconversion",
];
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Compiles tests/c/`name`.c and links it.
pub fn build(name: &str, executable: &Path) {
    let mut compiler = compile(&cc(), &format!("{name}.c"), "c11");
    compiler.args(["-D_POSIX_C_SOURCE=200809L", "-Wstrict-prototypes"]);
    link(&mut compiler, executable);
}

/// Links what the command line compiles, for the mode.
pub fn link(compiler: &mut Command, executable: &Path) {
    compiler.arg("-g");
    if mode() == "asan" {
        compiler.args([
            "-fsanitize=address,undefined",
            "-fno-sanitize-recover=all",
            "-fno-omit-frame-pointer",
        ]);
    }
    compiler
        .arg("-o")
        .arg(executable)
        .arg("-L")
        .arg(library_directory());
    if cfg!(target_os = "linux") {
        // A program that loads the library at run time is not to have it already.
        compiler.arg("-Wl,--as-needed");
    }
    compiler.args(["-ltrophy", "-lm", "-pthread", "-ldl"]);
    succeed(compiler);
}

pub fn mode() -> String {
    env::var("TROPHY_C_MODE").unwrap_or_else(|_| "plain".to_owned())
}

/// How a program is run in the mode; none if it cannot be.
pub fn launch(executable: &Path) -> Option<Command> {
    match mode().as_str() {
        "plain" | "asan" => Some(Command::new(executable)),
        "valgrind" if is_installed("valgrind") => {
            let mut valgrind = Command::new("valgrind");
            valgrind
                .args([
                    "--quiet",
                    "--error-exitcode=99",
                    "--leak-check=full",
                    "--errors-for-leak-kinds=definite,indirect,possible",
                    // The ends of threads and the unwinder of panics are deep.
                    "--num-callers=30",
                ])
                .arg(executable);
            Some(valgrind)
        }
        "valgrind" => {
            println!("skipped: no valgrind");
            None
        }
        mode => panic!("TROPHY_C_MODE is plain, asan or valgrind, not {mode}"),
    }
}

/// The environment of a program: where the library is, and the service.
pub fn surround<'a>(
    program: &'a mut Command,
    url: &str,
    admin_url: &str,
    key: &str,
) -> &'a mut Command {
    for variable in ["http_proxy", "https_proxy", "all_proxy"] {
        program
            .env_remove(variable)
            .env_remove(variable.to_uppercase());
    }
    program
        .env("LD_LIBRARY_PATH", library_directory())
        .env("DYLD_LIBRARY_PATH", library_directory())
        .env("TROPHY_BASE_URL", url)
        .env("TROPHY_ADMIN_BASE_URL", admin_url)
        .env("TROPHY_API_KEY", key)
}

/// A compiler's command line for one source in tests/c/, without what comes out.
pub fn compile(compiler: &str, source: &str, standard: &str) -> Command {
    let mut command = Command::new(compiler);
    command
        .arg(format!("-std={standard}"))
        .args(WARNINGS)
        .arg("-I")
        .arg(Path::new(ROOT).join("include"))
        .arg(program(source));
    command
}

pub fn program(source: &str) -> PathBuf {
    Path::new(ROOT).join("tests/c").join(source)
}

pub fn cc() -> String {
    env::var("CC").unwrap_or_else(|_| "cc".to_owned())
}

pub fn cxx() -> String {
    env::var("CXX").unwrap_or_else(|_| "c++".to_owned())
}

pub fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// What Cargo built beside this test.
pub fn shared_library() -> PathBuf {
    let directory = env::current_exe().unwrap();
    let directory = directory.parent().unwrap();
    let name = format!(
        "{}trophy{}",
        env::consts::DLL_PREFIX,
        env::consts::DLL_SUFFIX
    );
    let library = directory.join(&name);
    assert!(library.exists(), "no {}", library.display());
    library
}

/// A folder with the library under the names that the linker and the loader look for.
pub fn library_directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(own_name());
        fs::create_dir_all(&directory).unwrap();
        let library = shared_library();
        let suffix = env::consts::DLL_SUFFIX;
        for name in [
            format!("libtrophy{suffix}"),
            "libtrophy.so.1".to_owned(),
            "libtrophy.1.dylib".to_owned(),
        ] {
            let link = directory.join(name);
            let _ = fs::remove_file(&link);
            #[cfg(unix)]
            std::os::unix::fs::symlink(&library, &link).unwrap();
            #[cfg(not(unix))]
            fs::copy(&library, &link).unwrap();
        }
        directory
    })
}

pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}",
        output.status,
        text(&output)
    );
    output
}

pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Of this test's executable, so that two that run at once have a folder each.
fn own_name() -> String {
    let executable = env::current_exe().unwrap();
    let name = executable.file_stem().unwrap();
    format!("lib-{}", name.to_str().unwrap())
}
