//! What `--help` prints, for each command.

use std::io::Write;

use crate::failure::Failure;

const ALL: &str = "\
Trophy from a shell or cron. JSON goes to stdout, errors to stderr.

Usage: trophy COMMAND [ARGUMENTS]

  event METRIC         send a metric event now
  enqueue METRIC       keep a metric event in a queue on disk, and deliver it
  queue status         how much waits in a queue
  queue flush          deliver what waits
  queue dead           the events that the service refused
  call OPERATION       call any operation of the service
  operations           list the operations
  webhook verify       check a webhook's signature
  help [COMMAND]       this text, or a command's; also COMMAND --help
  --version            the version

The API key comes from TROPHY_API_KEY, or from a file: --key-file FILE. TROPHY_BASE_URL and
TROPHY_ADMIN_BASE_URL name another server, such as the sandbox.

Flags of every command that calls the service:
  --key-file FILE      read the API key from FILE
  --tenant ID          for this tenant (not with queue: an event in it has its tenant already)
  --option JSON        client options, as in trophy.h: '{\"timeout_in_seconds\":5}'; may be repeated

Exit codes: 0 success; 1 a file or stdout could not be read or written; 2 wrong arguments; else the
number of the status in trophy.h:
  10 network   11 timeout   12 tls   13 invalid_response
  20 bad_request   21 unauthorized   22 forbidden   23 not_found   24 unprocessable
  25 rate_limited   26 http   27 server
  30 queue_full   31 storage   32 expired   40 invalid_signature   99 panic

An error is two lines on stderr: {\"error\":{\"code\",\"message\",\"httpStatus\",...}} and a sentence.
";

const EVENT: &str = "\
Sends a metric event and prints the reply. It counts once, however often it is tried.

Usage: trophy event METRIC --user JSON --value N [flags]

  --user JSON            the user: '{\"id\":\"18\"}', and what is to be set: email, name, tz, attributes
  --value N              how much to add; may be negative or a fraction
  --attributes JSON      the event's attributes: '{\"genre\":\"horror\"}'
  --idempotency-key KEY  what makes it the same as another event; one is made without
  --request-option JSON  request options, as in trophy.h
  --key-file FILE, --tenant ID, --option JSON  see `trophy --help`

  trophy event words-written --user '{\"id\":\"18\"}' --value 750
";

const ENQUEUE: &str = "\
Keeps a metric event in a queue on disk and prints its idempotency key. It is delivered now if that
goes at once, else by the next `trophy enqueue --flush` or `trophy queue flush` on the same folder.

Usage: trophy enqueue METRIC --user JSON --value N --queue DIR [flags]

  --queue DIR            the queue's folder; else TROPHY_QUEUE
  --flush SECONDS        wait until all that is queued is delivered, at most so long; exit code 11 if
                         something is left, which is safe in the queue, or that of a refused event
  --user, --value, --attributes, --idempotency-key, --request-option  see `trophy event --help`
  --key-file FILE, --tenant ID, --option JSON  see `trophy --help`

  trophy enqueue words-written --user '{\"id\":\"18\"}' --value 750 --queue /var/lib/app/trophy
";

const QUEUE: &str = "\
Looks at a queue's folder, or delivers what is in it.

Usage: trophy queue status|flush|dead [--queue DIR]

  status                 {\"path\",\"queued\",\"bytesOnDisk\",\"dead\"}; needs no key, sends nothing
  flush                  deliver what is queued: {\"delivered\",\"undelivered\",\"dead\",\"expired\",\"paused\"}
    --timeout SECONDS    how long at most (default 60); exit codes as for enqueue --flush
    --key-file FILE, --option JSON  see `trophy --help`
  dead                   the events that the service refused, with its reason: one line of JSON each
  --queue DIR            the queue's folder, also called --path; else TROPHY_QUEUE

For cron: * * * * * TROPHY_QUEUE=/var/lib/app/trophy trophy queue flush --key-file /etc/app/trophy.key
";

const CALL: &str = "\
Calls an operation of the service and prints the reply.

Usage: trophy call OPERATION [ARGS]

  ARGS                   one flat JSON object: path and query parameters by name, \"body\", \"options\";
                         - reads it from stdin
  --key-file FILE, --tenant ID, --option JSON  see `trophy --help`

  trophy call users_streak '{\"id\":\"18\",\"historyPeriods\":14}'
";

const OPERATIONS: &str = "\
Lists the operations of the service, one line of JSON each.

Usage: trophy operations [PART]

  PART                   only those whose name contains this

  trophy operations streak
";

const WEBHOOK: &str = "\
Checks that a webhook was signed with your secret, and prints its body. Exit code 40 if it was not.

Usage: trophy webhook verify --signature TEXT [flags] < BODY

  --signature TEXT       the X-Trophy-Signature header
  --secret-file FILE     read the secret from FILE; else TROPHY_WEBHOOK_SECRET
  --body FILE            the body's raw bytes; else from stdin
";

pub fn print(out: &mut dyn Write, topic: &str) -> Result<(), Failure> {
    let text = match topic {
        "" => ALL,
        "event" => EVENT,
        "enqueue" => ENQUEUE,
        "queue" => QUEUE,
        "call" => CALL,
        "operations" => OPERATIONS,
        "webhook" => WEBHOOK,
        other => {
            return Err(Failure::usage(format!(
                "there is no command \"{other}\"; `trophy --help` lists them"
            )));
        }
    };
    out.write_all(text.as_bytes()).map_err(Failure::output)
}
