//! Settings of codex's configuration, in layers, and how they are written as
//! its arguments `-c KEY=VALUE`.
//!
//! Codex splits the key at every dot, whatever quotes it has, and lets an inline
//! table replace what earlier arguments said below its key. So the layers are
//! merged here, table by table as codex merges its files, and each setting is
//! said once: a key that has a dot or a quote inside an inline table.

use toml::{Table, Value};

use crate::toml_text::{is_plain, write_value};

/// The tables that every turn may add settings of its own to, for which a value
/// in their place leaves no room.
const TABLES: [&str; 2] = ["sandbox_workspace_write", "shell_environment_policy.set"];

/// The most bytes of one argument; the kernel takes no longer ones.
const MAX_ARGUMENT_BYTES: usize = 131_071;

/// Settings, as a tree of tables.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Settings(Table);

impl Settings {
    /// The settings that a file holds.
    pub(super) fn new(table: Table) -> Self {
        Self(table)
    }

    /// All of them.
    pub(super) fn table(&self) -> &Table {
        &self.0
    }

    /// Puts a value where the dotted key says, in place of what is there.
    ///
    /// # Errors
    ///
    /// Where a part of the key is a setting that is no table: the text names it.
    pub(super) fn set(&mut self, key: &str, value: Value) -> Result<(), String> {
        let mut table = &mut self.0;
        let mut rest = key;
        let mut begins = 0;
        while let Some((part, below)) = rest.split_once('.') {
            begins += part.len();
            let inner = table.entry(part).or_insert_with(|| Table::new().into());
            let Value::Table(inner) = inner else {
                return Err(format!("{:?} has a value that is no table", &key[..begins]));
            };
            (table, rest) = (inner, below);
            begins += 1;
        }
        table.insert(rest.to_owned(), value);
        Ok(())
    }

    /// The value at a dotted key.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        let (tables, name) = key.rsplit_once('.').unwrap_or(("", key));
        let mut table = &self.0;
        for part in tables.split('.').filter(|part| !part.is_empty()) {
            table = table.get(part)?.as_table()?;
        }
        table.get(name)
    }

    /// Takes the value of a key of the top level out.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key)
    }

    /// Has all of them changed.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut Table)) {
        change(&mut self.0);
    }

    /// Lays others over these: tables merge, any other value is replaced.
    pub(super) fn overlay(&mut self, over: Self) {
        merge(&mut self.0, over.0);
    }

    /// Whether there is a table at a dotted key, or room for one.
    fn check_table(&self, key: &str) -> Result<(), String> {
        let mut table = &self.0;
        let mut ends = 0;
        for part in key.split('.') {
            ends += part.len();
            table = match table.get(part) {
                None => return Ok(()),
                Some(Value::Table(table)) => table,
                Some(_) => return Err(format!("{}: expected a table", &key[..ends])),
            };
            ends += 1;
        }
        Ok(())
    }

    /// What follows each `-c`.
    ///
    /// # Errors
    ///
    /// The text says which setting codex cannot be given so.
    pub(super) fn arguments(&self) -> Result<Vec<String>, String> {
        if let Some(key) = self.0.keys().find(|key| !is_plain(key)) {
            return Err(format!(
                "{key:?}: a key outside of tables has letters, digits, dashes and underscores, \
                 and begins with no dash"
            ));
        }
        for key in TABLES {
            self.check_table(key)?;
        }
        let mut arguments = Vec::new();
        for (key, value) in &self.0 {
            write_setting(&mut arguments, key, value);
        }
        let too_long = arguments.iter().find(|argument| argument.len() > MAX_ARGUMENT_BYTES);
        if let Some(argument) = too_long {
            let key = argument.split('=').next().unwrap_or_default();
            let size = argument.len();
            return Err(format!(
                "{key}: {size} bytes long when it is written for codex; at most \
                 {MAX_ARGUMENT_BYTES} are possible"
            ));
        }
        Ok(arguments)
    }
}

/// Reads the value of one setting.
///
/// # Errors
///
/// The text says in what it is no value of TOML.
pub(super) fn parse_value(text: &str) -> Result<Value, String> {
    text.trim().parse::<Value>().map_err(|error| error.message().trim_end().replace('\n', ", "))
}

fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => merge(base, over),
            (_, value) => drop(base.insert(key, value)),
        }
    }
}

/// Writes a setting, or each of those in its table, where their keys allow it.
fn write_setting(arguments: &mut Vec<String>, key: &str, value: &Value) {
    match value {
        Value::Table(table) if !table.is_empty() && table.keys().all(|key| is_plain(key)) => {
            for (name, value) in table {
                write_setting(arguments, &format!("{key}.{name}"), value);
            }
        }
        Value::String(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime(_)
        | Value::Array(_)
        | Value::Table(_) => {
            let mut argument = format!("{key}=");
            write_value(&mut argument, value);
            arguments.push(argument);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(toml: &str) -> Settings {
        Settings::new(toml.parse().unwrap())
    }

    /// Checks how settings are written, one on each line.
    fn check(toml: &str, expected: &str) {
        let expected: Vec<_> = expected.lines().map(str::trim).collect();
        assert_eq!(settings(toml).arguments().unwrap(), expected);
    }

    #[test]
    fn values_are_written_as_toml_on_one_line() {
        check(
            "a = 'true'\nb = true\nc = \"1\"\nd = 1\ne = 1.0\nf = 1e300\ng = inf\nh = nan\n\
             i = 1979-05-27T07:32:00Z\nj = ['x', 2, {k = 'v'}]\nl = \"\"\"\ntwo \"lines\"\\\\\n\\u007f\"\"\"\n",
            "a=\"true\"
            b=true
            c=\"1\"
            d=1
            e=1.0
            f=1e300
            g=inf
            h=nan
            i=1979-05-27T07:32:00Z
            j=[\"x\",2,{k=\"v\"}]
            l=\"two \\\"lines\\\"\\\\\\n\\u007F\"",
        );
    }

    #[test]
    fn tables_become_dotted_keys_as_far_as_codex_can_read_them() {
        check(
            "[features]\ngoals = false\n[a.b]\nc = 1\n[a.d]\n[projects.\"/home/dev/a.b\"]\n\
             trust_level = 'trusted'\n[projects.plain]\nx = 1\n[deep.er]\n\"it's\" = {\"-y\" = 2}\n",
            "a.b.c=1
            a.d={}
            deep.er={\"it's\"={\"-y\"=2}}
            features.goals=false
            projects={\"/home/dev/a.b\"={trust_level=\"trusted\"},plain={x=1}}",
        );
        for key in ["'a.b'", "'-a'", "'a=b'", "''", "'ü'"] {
            settings(&format!("{key} = 1")).arguments().unwrap_err();
        }
    }

    #[test]
    fn a_value_in_the_place_of_a_table_that_turns_add_to_is_refused() {
        for (toml, key) in [
            ("shell_environment_policy = 1", "shell_environment_policy"),
            ("shell_environment_policy.set = 3", "shell_environment_policy.set"),
            ("shell_environment_policy.set = ['A']", "shell_environment_policy.set"),
            ("sandbox_workspace_write = true", "sandbox_workspace_write"),
        ] {
            let problem = settings(toml).arguments().unwrap_err();
            assert_eq!(problem, format!("{key}: expected a table"));
        }
        settings("[shell_environment_policy]\ninherit = 'all'\n").arguments().unwrap();
        settings("[shell_environment_policy.set]\nA = 'b'\n").arguments().unwrap();
    }

    #[test]
    fn layers_merge_table_by_table() {
        let mut below = settings("a = 1\n[t]\nb = 1\nc = [1, 2]\n[t.\"x.y\"]\nk = 1\n");
        below.overlay(settings("a = {z = 1}\n[t]\nc = [3]\n[t.\"x.y\"]\nl = 2\n"));
        let expected = settings("a = {z = 1}\n[t]\nb = 1\nc = [3]\n[t.\"x.y\"]\nk = 1\nl = 2\n");
        assert_eq!(below, expected);
    }

    #[test]
    fn a_dotted_key_goes_into_its_tables() {
        let mut found = settings("[a.b]\nc = 1\n");
        found.set("a.b.d", 2.into()).unwrap();
        found.set("e.f", true.into()).unwrap();
        assert_eq!(found, settings("[a.b]\nc = 1\nd = 2\n[e]\nf = true\n"));
        assert_eq!(found.get("a.b.d"), Some(&2.into()));
        assert_eq!((found.get("a.x.d"), found.get("a.b.c.d")), (None, None));
        assert_eq!(
            found.set("a.b.c.d", 1.into()).unwrap_err(),
            "\"a.b.c\" has a value that is no table"
        );
    }

    #[test]
    fn one_value_is_read_and_nothing_beside_it() {
        assert_eq!(parse_value(" 'x' ").unwrap(), "x".into());
        assert_eq!(parse_value("{a = 1}").unwrap(), toml::toml!(a = 1).into());
        for text in ["", "high", "null", "1\nb = 2", "1 2", "'x", "{a = null}"] {
            let problem = parse_value(text).unwrap_err();
            assert!(!problem.is_empty() && !problem.contains('\n'), "{text:?}: {problem}");
        }
    }

    #[test]
    fn an_argument_is_as_long_as_the_kernel_takes_it() {
        let long = |length: usize| {
            Settings::new(Table::from_iter([("k".to_owned(), Value::from("x".repeat(length)))]))
        };
        let fits = MAX_ARGUMENT_BYTES - "k=\"\"".len();
        assert_eq!(long(fits).arguments().unwrap()[0].len(), MAX_ARGUMENT_BYTES);
        assert!(long(fits + 1).arguments().unwrap_err().starts_with("k: 131072 bytes long"));
    }
}
