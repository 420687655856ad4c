//! The command: flags, one line of JSON when it is ready, then it serves until it is ended.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lexopt::{Arg, Parser, ValueExt};
use serde_json::json;
use trophy_sandbox::{Options, Rates, Sandbox};

const HELP: &str = "\
A local Trophy: the service's two APIs, with state in memory and faults on demand.

Usage: trophy-sandbox [flags]

  --port N             port to listen on; 0 for any free one (default 8750)
  --host HOST          address to listen on (default 127.0.0.1)
  --world FILE         JSON world instead of the default one
  --admin-key KEY      one more admin key
  --limits             the service's rate limits: 5 and 50 requests a second
  --limit-tier1 N      events, completions and the Admin API: N requests a second
  --limit-tier2 N      the other application operations: N requests a second
  --tls                serve https, with a certificate made at start
  --tls-cert-out FILE  write the certificate to trust, as PEM; implies --tls
  --resolve-dots       read .. and %2E%2E in a path as URL parsers do: one step up
  --ready-file FILE    write the ready line to FILE as well, when it listens
  --exit-with-stdin    end when stdin is closed
  --help               this text

The line on stdout, when it listens, is JSON: url, adminUrl, port, and caFile with TLS.
The one on stderr is for a shell: paste it, and programs that use libtrophy talk to this sandbox.
";

struct Flags {
    options: Options,
    world: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    ready_file: Option<PathBuf>,
    exit_with_stdin: bool,
}

fn main() -> ExitCode {
    let flags = match flags(Parser::from_env()) {
        Ok(Some(flags)) => flags,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(why) => {
            eprintln!("trophy-sandbox: {why} (--help lists the flags)");
            return ExitCode::from(2);
        }
    };
    match run(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("trophy-sandbox: {why}");
            ExitCode::FAILURE
        }
    }
}

/// `None` if help is asked for.
fn flags(mut parser: Parser) -> Result<Option<Flags>, lexopt::Error> {
    let mut flags = Flags {
        options: Options {
            port: 8750,
            ..Options::default()
        },
        world: None,
        ca_file: None,
        ready_file: None,
        exit_with_stdin: false,
    };
    while let Some(flag) = parser.next()? {
        let options = &mut flags.options;
        match flag {
            Arg::Long("port") => options.port = parser.value()?.parse()?,
            Arg::Long("host") => options.host = parser.value()?.string()?,
            Arg::Long("world") => flags.world = Some(parser.value()?.into()),
            Arg::Long("admin-key") => options.admin_key = Some(parser.value()?.string()?),
            Arg::Long("limits") => {
                let own = options.rates;
                options.rates.tier_one = own.tier_one.or(Rates::SERVICE.tier_one);
                options.rates.tier_two = own.tier_two.or(Rates::SERVICE.tier_two);
            }
            Arg::Long("limit-tier1") => options.rates.tier_one = Some(parser.value()?.parse()?),
            Arg::Long("limit-tier2") => options.rates.tier_two = Some(parser.value()?.parse()?),
            Arg::Long("tls") => options.tls = true,
            Arg::Long("tls-cert-out") => {
                options.tls = true;
                flags.ca_file = Some(parser.value()?.into());
            }
            Arg::Long("resolve-dots") => options.resolve_dots = true,
            Arg::Long("ready-file") => flags.ready_file = Some(parser.value()?.into()),
            Arg::Long("exit-with-stdin") => flags.exit_with_stdin = true,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(flags))
}

fn run(flags: Flags) -> Result<(), String> {
    let mut options = flags.options;
    if let Some(file) = &flags.world {
        let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
        let text = std::fs::read_to_string(file).map_err(|why| wrong(&why))?;
        options.world = Some(serde_json::from_str(&text).map_err(|why| wrong(&why))?);
    }
    let sandbox = Sandbox::start(options)?;
    let mut ready = json!({
        "url": sandbox.url(),
        "adminUrl": sandbox.admin_url(),
        "port": sandbox.port(),
    });
    if let Some(pem) = sandbox.ca_pem() {
        let file = flags.ca_file.unwrap_or_else(|| {
            std::env::temp_dir().join(format!("trophy-sandbox-{}.pem", sandbox.port()))
        });
        write_whole(&file, pem)?;
        ready["caFile"] = file.display().to_string().into();
    }
    if let Some(file) = &flags.ready_file {
        write_whole(file, &format!("{ready}\n"))?;
    }
    // Nobody may be listening; that is no reason not to serve.
    let mut stdout = std::io::stdout();
    let _ = writeln!(stdout, "{ready}").and_then(|()| stdout.flush());
    let _ = writeln!(std::io::stderr(), "{}", exports(&sandbox));
    if flags.exit_with_stdin {
        let mut stdin = std::io::stdin();
        while matches!(stdin.read(&mut [0; 256]), Ok(1..)) {}
    } else {
        loop {
            std::thread::park();
        }
    }
    Ok(())
}

/// The line that makes a shell's programs talk to this sandbox, and to nothing else.
fn exports(sandbox: &Sandbox) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let key = sandbox.admin_key().unwrap_or_default();
    let (url, admin_url) = (sandbox.url(), sandbox.admin_url());
    format!(
        "export TROPHY_API_KEY={} TROPHY_BASE_URL={} TROPHY_ADMIN_BASE_URL={}",
        quoted(key),
        quoted(&url),
        quoted(&admin_url)
    )
}

/// Writes a file so that who finds it finds all of it.
fn write_whole(file: &Path, text: &str) -> Result<(), String> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let draft = file.with_file_name(name);
    std::fs::write(&draft, text)
        .and_then(|()| std::fs::rename(&draft, file))
        .map_err(|why| format!("cannot write {}: {why}", file.display()))
}
