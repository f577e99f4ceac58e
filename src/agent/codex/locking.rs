//! Config locks of codex: what goes into one, and what a turn is held to that has
//! one.

use std::path::PathBuf;

use toml::{Table, Value};

use super::{
    Codex, Met,
    binary::Binary,
    chosen::{self, Choice, Over},
    command::{self, Retries, Told, UNBOUNDED_RETRIES},
    config::AgentConfig,
    held::{self, Fitted},
    options,
    resolve::{self, Picture, Question, instructions},
    untrusted,
};
use crate::{
    agent::{Compared, Resolved, TurnRequest, file::read_at_most},
    error::{Error, Result},
    lock::{CatalogueFields, Lock, secrets},
    proto::Warning,
};

/// The most bytes of a profile.
const MAX_PROFILE_BYTES: usize = 1 << 20;

/// The most bytes of a warning, which each turn of a session has anew.
const MAX_WARNING_BYTES: usize = 320;

/// A binary, met, with what it would be told.
struct Stage<'a> {
    binary: &'a Binary,
    version: &'a str,
    retries: Retries,
    config: &'a AgentConfig,
}

impl Codex {
    /// Says what a turn would run with.
    pub(in crate::agent) fn resolve_config(
        &self,
        turn: &TurnRequest<'_>,
        catalogue: CatalogueFields,
    ) -> Result<Resolved> {
        let (config, binary, met) = self.prepare(turn)?;
        let stage = stage(&binary, &met, &config);
        let fitted = self.fitted(turn, &stage)?;
        let held = fitted.as_ref().map(|fitted| &fitted.config);
        let Picture { effective, origins, notes, .. } =
            self.picture(turn, &stage, held, catalogue)?;
        if let Some(key) = secrets::find(&effective.config).into_iter().next() {
            let problem = format!(
                "{key}: a secret, which no lock may hold; have codex take it from its environment \
                 by env_key, bearer_token_env_var, env_http_headers or env_vars"
            );
            return Err(Error::ConfigLockInvalid { rule: "secret", key: Some(key), problem });
        }
        untrusted::check_references(&effective.config, "")?;
        let mut files = origins.files();
        // Those that say nothing by now are of them too.
        files.extend(self.codex_home().map(|home| home.join("config.toml")));
        files.insert(self.config.path.clone());
        files.extend(self.profile(turn)?.map(|(_, file)| PathBuf::from(file)));
        let instructions = effective.instructions.keys();
        files.extend(
            instructions
                .map(|name| instructions::path(name, turn.working_directory, self.codex_home())),
        );
        Ok(Resolved { effective, files, notes })
    }

    /// Compares that with the turn's lock.
    pub(in crate::agent) fn compare_with_lock(&self, turn: &TurnRequest<'_>) -> Result<Compared> {
        let Some((lock, any_version)) = turn.lock else {
            return Err(Error::invalid("config_lock", "there is none to compare with"));
        };
        // Before anything is started.
        untrusted::check(lock)?;
        let (config, binary, met) = self.prepare(turn)?;
        let (compared, _) =
            self.compare(turn, (lock, any_version), &stage(&binary, &met, &config))?;
        Ok(compared)
    }

    /// What a turn is told of its lock, and what one should know about that; none
    /// where it has no lock.
    ///
    /// # Errors
    ///
    /// [`Error::CodexVersionMismatch`] and [`Error::ConfigLockDrift`] where it would
    /// not run with that.
    pub(super) fn hold(
        &self,
        turn: &TurnRequest<'_>,
        binary: &Binary,
        version: &str,
        retries: Retries,
        config: &AgentConfig,
    ) -> Result<Option<(Table, Vec<Warning>)>> {
        let Some((lock, any_version)) = turn.lock else { return Ok(None) };
        if lock.effective.codex_version != version && !any_version {
            let locked = lock.effective.codex_version.clone();
            return Err(Error::CodexVersionMismatch { locked, actual: version.to_owned() });
        }
        let stage = Stage { binary, version, retries, config };
        let (compared, held) = self.compare(turn, (lock, any_version), &stage)?;
        if compared.drift.values.is_empty() {
            let code = "CONFIG_LOCK_NOT_WHOLE".to_owned();
            let warning = |note| Warning { code: code.clone(), message: in_short(note) };
            return Ok(Some((held, compared.notes.into_iter().map(warning).collect())));
        }
        Err(Error::ConfigLockDrift { drift: Box::new(compared.drift) })
    }

    fn prepare(&self, turn: &TurnRequest<'_>) -> Result<(AgentConfig, Binary, Met)> {
        let unavailable = |problem| Error::AgentUnavailable { problem };
        let config = AgentConfig::read(&self.config)?;
        options::check_files(turn.options, self.codex_home())?;
        let binary = self.binary_of(turn).map_err(unavailable)?;
        let met = self.meet(&binary).map_err(unavailable)?;
        Ok((config, binary, met))
    }

    /// The lock as this codex is told it.
    fn fitted(&self, turn: &TurnRequest<'_>, stage: &Stage<'_>) -> Result<Option<Fitted>> {
        let Some((lock, _)) = turn.lock else { return Ok(None) };
        untrusted::check(lock)?;
        let features = held::is_foreign(lock, stage.version)
            .then(|| {
                let _place = self.questions.place();
                resolve::features(stage.binary, turn.working_directory)
            })
            .transpose()
            .map_err(|problem| Error::AgentUnavailable { problem })?;
        Ok(Some(held::fit(lock, features.as_ref())))
    }

    /// Compares; beside it, what the turn is told of the lock.
    fn compare(
        &self,
        turn: &TurnRequest<'_>,
        (lock, any_version): (&Lock, bool),
        stage: &Stage<'_>,
    ) -> Result<(Compared, Table)> {
        let mut fitted = self.fitted(turn, stage)?.unwrap_or_else(|| held::fit(lock, None));
        let mut picture =
            self.picture(turn, stage, Some(&fitted.config), CatalogueFields::LeftOut)?;
        for name in lock.effective.instructions.keys() {
            let file = instructions::path(name, turn.working_directory, self.codex_home());
            picture.origins.know_unless(&instructions::key(name), &file.display().to_string());
        }
        let profile = self.profile(turn)?;
        let profile = profile.as_ref().map(|(table, file)| (table, file.as_str()));
        let choices = chosen::choices(turn, &fitted.config, profile)?;
        let below = self.below(stage.config);
        let free = || self.picture(turn, stage, None, CatalogueFields::LeftOut).ok();
        let compared =
            held::compare(lock, any_version, &mut fitted, picture, &choices, &below, free);
        Ok((compared, fitted.config))
    }

    fn picture(
        &self,
        turn: &TurnRequest<'_>,
        stage: &Stage<'_>,
        held: Option<&Table>,
        catalogue: CatalogueFields,
    ) -> Result<Picture> {
        let Told { model, sandbox, mut settings } =
            command::told(turn, stage.retries, stage.config, held)?;
        if let Some(model) = &model {
            // For the questions that have no other place for it.
            settings.set("model", model.as_str().into()).map_err(Error::internal)?;
        }
        match stage.retries {
            Retries::Bounded if held.is_none() => settings
                .set(&format!("features.{UNBOUNDED_RETRIES}"), false.into())
                .map_err(|problem| Error::invalid("session.codex_options.config", problem))?,
            Retries::Bounded | Retries::AsConfigured => {}
        }
        command::written(&settings, held)?;
        let said = match held.filter(|held| command::says_sandbox(held)) {
            Some(held) => chosen::of_sandbox(held),
            None => chosen::said_of_sandbox(turn)?,
        };
        let question = Question {
            binary: stage.binary,
            version: stage.version,
            home: self.codex_home(),
            directory: turn.working_directory,
            settings,
            model: model.as_deref(),
            sandbox: sandbox.as_deref(),
            add_directories: &command::add_directories(turn, held),
            said_of_sandbox: said,
            asks_catalogue: held.is_some(),
            profile: self.profile(turn)?.map(|(table, _)| table),
        };
        let _place = self.questions.place();
        resolve::resolve(question, catalogue)
    }

    /// What the profile says that the turn names, and its file.
    fn profile(&self, turn: &TurnRequest<'_>) -> Result<Option<(Table, String)>> {
        let name = &turn.options.profile;
        let Some(home) = self.codex_home().filter(|_| !name.is_empty()) else { return Ok(None) };
        let file: PathBuf = home.join(format!("{name}.config.toml"));
        let shown = file.display().to_string();
        let problem =
            |problem: &str| Error::AgentUnavailable { problem: format!("{shown}: {problem}") };
        let content = read_at_most(&file, MAX_PROFILE_BYTES)
            .map_err(|error| problem(&error.to_string()))?
            .ok_or_else(|| problem("too large"))?;
        let text = String::from_utf8(content).map_err(|_| problem("not UTF-8"))?;
        let table = text.parse().map_err(|error: toml::de::Error| problem(error.message()))?;
        Ok(Some((table, shown)))
    }

    /// What the server's agent configuration says, each with its file.
    fn below(&self, config: &AgentConfig) -> Vec<Choice> {
        let file = self.config.path.display().to_string();
        let mut below = chosen::of_table(config.settings.table(), |_| file.clone());
        let own = [
            ("model", config.model.clone().map(Value::from)),
            ("sandbox_mode", config.full_danger.then(|| command::FULL_DANGER.into())),
        ];
        for (key, value) in own {
            let choice = |value| Choice {
                path: vec![key.to_owned()],
                value,
                origin: file.clone(),
                over: Over::Replaces,
            };
            below.extend(value.map(choice));
        }
        below
    }
}

/// A note with the first of the keys that it names, where they are many.
fn in_short(note: String) -> String {
    if note.len() <= MAX_WARNING_BYTES {
        return note;
    }
    let end = (0..=MAX_WARNING_BYTES).rev().find(|end| note.is_char_boundary(*end));
    let head = &note[..end.unwrap_or_default()];
    let head = head.rsplit_once(", ").map_or(head, |(head, _)| head);
    format!("{head}, and more; `lock verify` names all.")
}

fn stage<'a>(binary: &'a Binary, met: &'a Met, config: &'a AgentConfig) -> Stage<'a> {
    Stage { binary, version: &met.version, retries: met.retries, config }
}
