//! What the columns of a CSV file are called, and what they mean.

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Column {
    Metric,
    Value,
    IdempotencyKey,
    /// The whole user, as JSON.
    User,
    UserField(&'static str),
    /// True or false.
    UserFlag(&'static str),
    /// A JSON array.
    UserList(&'static str),
    UserAttribute(String),
    /// All attributes, as JSON.
    Attributes,
    Attribute(String),
    /// What a file of refused rows has besides.
    PassedOver,
}

/// Names as they are written, with and without the underscores of other systems.
const COLUMNS: &[(&[&str], Column)] = &[
    (&["metric", "key"], Column::Metric),
    (&["value"], Column::Value),
    (
        &["idempotencyKey", "idempotency_key"],
        Column::IdempotencyKey,
    ),
    (&["user"], Column::User),
    (&["user.id", "userId", "user_id"], Column::UserField("id")),
    (&["user.email"], Column::UserField("email")),
    (&["user.name"], Column::UserField("name")),
    (&["user.tz"], Column::UserField("tz")),
    (
        &["user.signUpDate", "user.sign_up_date"],
        Column::UserField("signUpDate"),
    ),
    (
        &["user.subscribeToEmails", "user.subscribe_to_emails"],
        Column::UserFlag("subscribeToEmails"),
    ),
    (
        &["user.deviceTokens", "user.device_tokens"],
        Column::UserList("deviceTokens"),
    ),
    (&["attributes"], Column::Attributes),
    (&["row", "line", "code", "reason"], Column::PassedOver),
];

pub fn read(heads: &[String]) -> Result<Vec<Column>, String> {
    let mut columns: Vec<Column> = Vec::new();
    for head in heads {
        let column = column(head).ok_or_else(|| unknown(head))?;
        if column != Column::PassedOver && columns.contains(&column) {
            return Err(format!("the column \"{head}\" is there twice"));
        }
        columns.push(column);
    }
    let has = |needed: &[Column]| columns.iter().any(|column| needed.contains(column));
    for (needed, name) in [
        (&[Column::Metric][..], "metric"),
        (&[Column::User, Column::UserField("id")], "user.id"),
        (&[Column::Value], "value"),
    ] {
        if !has(needed) {
            return Err(format!(
                "the first line names no column \"{name}\"; it names the columns: metric,user.id,value"
            ));
        }
    }
    Ok(columns)
}

fn column(head: &str) -> Option<Column> {
    if let Some(name) = head.strip_prefix("user.attributes.") {
        return (!name.is_empty()).then(|| Column::UserAttribute(name.to_owned()));
    }
    if let Some(name) = head.strip_prefix("attributes.") {
        return (!name.is_empty()).then(|| Column::Attribute(name.to_owned()));
    }
    COLUMNS
        .iter()
        .find(|(names, _)| names.contains(&head))
        .map(|(_, column)| column.clone())
}

fn unknown(head: &str) -> String {
    let known: Vec<&str> = COLUMNS
        .iter()
        .filter(|(_, column)| *column != Column::PassedOver)
        .filter_map(|(names, _)| names.first().copied())
        .collect();
    format!(
        "the column \"{head}\" means nothing here; known are {}, user.attributes.NAME and attributes.NAME, \
         separated by commas",
        known.join(", ")
    )
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UserAttribute(name) => write!(f, "user.attributes.{name}"),
            Self::Attribute(name) => write!(f, "attributes.{name}"),
            column => {
                let named = COLUMNS.iter().find(|(_, each)| each == column);
                let name = named.and_then(|(names, _)| names.first().copied());
                f.write_str(name.unwrap_or_default())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(heads: &str) -> Result<Vec<Column>, String> {
        let heads: Vec<String> = heads.split(',').map(str::to_owned).collect();
        read(&heads)
    }

    #[test]
    fn columns_have_names_in_any_order() {
        assert_eq!(
            of("value,user_id,key,attributes.a.b"),
            Ok(vec![
                Column::Value,
                Column::UserField("id"),
                Column::Metric,
                Column::Attribute("a.b".to_owned()),
            ])
        );
        assert!(of("metric,user,value,row,line,code,reason").is_ok());
    }

    #[test]
    fn a_column_that_is_unknown_twice_there_or_missing_is_named() {
        for (heads, message) in [
            ("metric,user.id,value,user.emial", "user.emial"),
            ("metric,user.id,value,key", "\"key\" is there twice"),
            ("metric,value", "no column \"user.id\""),
            ("metric;user.id;value", "separated by commas"),
            ("metric,user.id,value,attributes.", "attributes."),
            ("", "means nothing here"),
        ] {
            let why = of(heads).err().unwrap_or_default();
            assert!(why.contains(message), "{why}");
        }
    }
}
