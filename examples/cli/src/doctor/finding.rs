//! What a check found: right, or what to do.

use console::style;
use serde_json::json;
use trophy::error::Status;

use crate::failure::Failure;
use crate::output::Output;
use crate::pretty;

#[derive(Debug)]
pub struct Finding {
    pub check: &'static str,
    pub detail: String,
    pub state: State,
}

#[derive(Debug)]
pub enum State {
    Fine,
    /// It works, and will not always.
    Doubtful {
        advice: String,
    },
    Wrong {
        status: Status,
        advice: String,
    },
}

impl Finding {
    pub fn fine(check: &'static str, detail: impl Into<String>) -> Self {
        Self {
            check,
            detail: detail.into(),
            state: State::Fine,
        }
    }

    pub fn doubtful(
        check: &'static str,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            check,
            detail: detail.into(),
            state: State::Doubtful {
                advice: advice.into(),
            },
        }
    }

    pub fn wrong(
        check: &'static str,
        status: Status,
        detail: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            check,
            detail: detail.into(),
            state: State::Wrong {
                status,
                advice: advice.into(),
            },
        }
    }

    pub fn is_fine(&self) -> bool {
        !matches!(self.state, State::Wrong { .. })
    }

    fn advice(&self) -> Option<&str> {
        match &self.state {
            State::Fine => None,
            State::Doubtful { advice } | State::Wrong { advice, .. } => Some(advice),
        }
    }
}

/// Findings as they come.
#[derive(Default)]
pub struct Report {
    /// The first thing that is wrong.
    wrong: Option<(Status, String)>,
}

impl Report {
    pub fn tell(&mut self, out: &mut Output, findings: Vec<Finding>) -> Result<(), Failure> {
        for finding in findings {
            let verdict = match &finding.state {
                State::Fine => "ok",
                State::Doubtful { .. } => "doubtful",
                State::Wrong { .. } => "wrong",
            };
            match out.is_for_people() {
                true => for_people(out, &finding)?,
                false => {
                    let mut line = json!({
                        "check": finding.check,
                        "verdict": verdict,
                        "detail": finding.detail,
                    });
                    if let Some(advice) = finding.advice() {
                        line["advice"] = advice.into();
                    }
                    out.line(&line.to_string())?;
                }
            }
            out.flush()?;
            if let State::Wrong { status, advice } = finding.state {
                let sentence = format!("{}: {}; {advice}", finding.check, finding.detail);
                self.wrong.get_or_insert((status, sentence));
            }
        }
        Ok(())
    }

    pub fn verdict(self) -> Result<(), Failure> {
        match self.wrong {
            Some((status, sentence)) => Err(Failure::status(status, sentence)),
            None => Ok(()),
        }
    }
}

fn for_people(out: &mut Output, finding: &Finding) -> Result<(), Failure> {
    let sign = match &finding.state {
        State::Fine => style("ok   ").green(),
        State::Doubtful { .. } => style("hm   ").yellow(),
        State::Wrong { .. } => style("WRONG").red().bold(),
    };
    let check = style(format!("{:10}", finding.check)).bold();
    let detail = pretty::text(&finding.detail);
    out.line(&format!("{sign} {check} {detail}"))?;
    match finding.advice() {
        Some(advice) => out.line(&format!("{:16} → {}", "", pretty::text(advice))),
        None => Ok(()),
    }
}
