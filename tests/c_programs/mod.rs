//! Compiles C programs, links them with the library that Cargo built, and runs them.
#![allow(dead_code)] // each test file uses some

use std::env;
use std::fs;
use std::io::{Read, Seek};
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
    if on_windows() {
        // WSAPoll() and printf's %zu.
        compiler.args(["-D_WIN32_WINNT=0x0601", "-D__USE_MINGW_ANSI_STDIO=1"]);
    }
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
    if on_windows() {
        // Beside our DLL the program needs none that is not Windows's own.
        compiler.args([
            "-static-libgcc",
            "-static-libstdc++",
            "-ltrophy",
            "-lws2_32",
        ]);
        // All of the threads' library: that of C++, which comes later, calls it too.
        compiler.args(["-Wl,-Bstatic,--whole-archive", "-lpthread"]);
        compiler.args(["-Wl,--no-whole-archive,-Bdynamic"]);
    } else {
        if on_linux() {
            // A program that loads the library at run time is not to have it already.
            compiler.arg("-Wl,--as-needed");
        }
        if is_static() {
            compiler.arg("-DTROPHY_STATIC").arg(static_library());
            compiler.args(native_libraries());
        } else {
            compiler.args(["-ltrophy", "-lm", "-pthread", "-ldl"]);
        }
    }
    succeed(compiler);
}

pub fn mode() -> String {
    env::var("TROPHY_C_MODE").unwrap_or_else(|_| "plain".to_owned())
}

/// How a program is run in the mode; none if it cannot be.
pub fn launch(executable: &Path) -> Option<Command> {
    launch_with(executable, "--leak-check=full")
}

/// How a program is run that forks: a child ends with what it has of its parent's threads, which is no leak.
pub fn launch_forking(executable: &Path) -> Option<Command> {
    launch_with(executable, "--leak-check=no")
}

fn launch_with(executable: &Path, leak_check: &str) -> Option<Command> {
    match mode().as_str() {
        "plain" | "asan" => Some(start(executable)),
        "valgrind" if is_installed("valgrind") => {
            let mut valgrind = Command::new("valgrind");
            valgrind
                .args([
                    "--quiet",
                    "--error-exitcode=99",
                    leak_check,
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

/// How a program for another machine is built and run: set by scripts/platforms/test.sh.
///
/// `TROPHY_C_TARGET` is a target of Rust's, such as x86_64-pc-windows-gnu; `TROPHY_C_LIB` the folder of its
/// libraries; `TROPHY_C_NATIVE_LIBS` what its programs link besides; `TROPHY_C_CC` and `TROPHY_C_CXX` its compilers
/// (`CC` is also that of this test's own parts); `TROPHY_C_RUN` the command that runs its programs, such as
/// `qemu-aarch64 -L /usr/aarch64-linux-gnu`; `TROPHY_C_STATIC` has them linked with libtrophy.a.
fn cross(name: &str) -> Option<String> {
    env::var(format!("TROPHY_C_{name}")).ok()
}

fn is_target(os: &str) -> bool {
    match cross("TARGET") {
        Some(target) => target.contains(os),
        None => env::consts::OS == os,
    }
}

pub fn on_windows() -> bool {
    is_target("windows")
}

pub fn on_linux() -> bool {
    is_target("linux")
}

pub fn on_glibc() -> bool {
    match cross("TARGET") {
        Some(target) => target.contains("linux-gnu"),
        None => cfg!(all(target_os = "linux", target_env = "gnu")),
    }
}

pub fn on_s390x() -> bool {
    match cross("TARGET") {
        Some(target) => target.starts_with("s390x"),
        None => cfg!(target_arch = "s390x"),
    }
}

pub fn is_static() -> bool {
    cross("STATIC").is_some()
}

/// Whether the programs are for the machine that runs the tests.
pub fn is_native() -> bool {
    cross("TARGET").is_none()
}

pub fn start(executable: &Path) -> Command {
    let run = cross("RUN").unwrap_or_default();
    let mut words = run.split_whitespace();
    let Some(first) = words.next() else {
        return Command::new(executable);
    };
    let mut command = Command::new(first);
    command.args(words).arg(executable);
    command
}

/// A program's file, as the linker names it.
pub fn executable(directory: &Path, name: &str) -> PathBuf {
    directory.join(match on_windows() {
        true => format!("{name}.exe"),
        false => name.to_owned(),
    })
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
        .env("WINEPATH", library_directory())
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
    let cross = cross("CC").or_else(|| env::var("CC").ok());
    cross.unwrap_or_else(|| "cc".to_owned())
}

pub fn cxx() -> String {
    let cross = cross("CXX").or_else(|| env::var("CXX").ok());
    cross.unwrap_or_else(|| "c++".to_owned())
}

pub fn is_installed(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// The folder that Cargo built the library in, beside this test.
fn built() -> PathBuf {
    match cross("LIB") {
        Some(directory) => PathBuf::from(directory),
        None => env::current_exe().unwrap().parent().unwrap().to_owned(),
    }
}

/// Copies a library to where this test's programs find it.
fn copy(file: &str, to: &Path) {
    // A cargo that runs beside may build the library anew: it holds this lock while it does.
    let lock = built().parent().map(|it| it.join(".cargo-lock"));
    let lock = lock.and_then(|it| fs::File::open(it).ok());
    if let Some(lock) = &lock {
        lock.lock_shared().unwrap();
    }
    // What still runs has the old one.
    let _ = fs::remove_file(to);
    fs::copy(built().join(file), to).unwrap_or_else(|error| panic!("{file}: {error}"));
}

pub fn shared_library() -> PathBuf {
    library_directory().join(shared_library_name())
}

fn shared_library_name() -> &'static str {
    match (on_windows(), cfg!(target_os = "macos")) {
        (true, _) => "trophy.dll",
        (false, true) => "libtrophy.dylib",
        (false, false) => "libtrophy.so",
    }
}

pub fn static_library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let library = library_directory().join("libtrophy.a");
        copy("libtrophy.a", &library);
        library
    })
}

/// A folder with the library under the names that the linker and the loader look for.
pub fn library_directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let target = cross("TARGET").unwrap_or_default();
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(own_name() + &target);
        fs::create_dir_all(&directory).unwrap();
        let name = shared_library_name();
        copy(name, &directory.join(name));
        if on_windows() {
            // What links the DLL.
            copy("libtrophy.dll.a", &directory.join("libtrophy.dll.a"));
        } else {
            let versioned = directory.join(match cfg!(target_os = "macos") {
                true => "libtrophy.1.dylib",
                false => "libtrophy.so.1",
            });
            let _ = fs::remove_file(&versioned);
            #[cfg(unix)]
            std::os::unix::fs::symlink(name, &versioned).unwrap();
        }
        directory
    })
}

/// What a program that links libtrophy.a needs besides: as rustc names it for the target.
pub fn native_libraries() -> Vec<String> {
    match cross("NATIVE_LIBS") {
        Some(named) => named.split_whitespace().map(str::to_owned).collect(),
        None => ["-lm", "-pthread", "-ldl"].map(str::to_owned).to_vec(),
    }
}

pub fn succeed(command: &mut Command) -> Output {
    // Errors go to a file, since a pipe ends only when nobody has it any more: what wine starts beside its first
    // program keeps the errors of that program open for ever.
    let mut errors = tempfile::tempfile().unwrap();
    let mut output = command
        .stderr(errors.try_clone().unwrap())
        .output()
        .unwrap();
    errors.rewind().unwrap();
    errors.read_to_end(&mut output.stderr).unwrap();
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
