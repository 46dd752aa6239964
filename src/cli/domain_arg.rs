//! How a domain is named on the command line: as a word or, as in virsh, by `--domain`.

use std::borrow::Cow;
use std::ffi::OsString;
use std::path::Path;

use clap::Args;

// One domain, as a word or as an option.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct DomainArg {
    /// Id, UUID or name
    #[arg(value_name = "DOMAIN", required_unless_present = "domain_option")]
    domain: Option<String>,
    /// The same, as an option
    #[arg(long = "domain", value_name = "DOMAIN", conflicts_with = "domain")]
    domain_option: Option<String>,
}

impl DomainArg {
    /// What was typed: an id, a UUID or a name.
    pub fn as_str(&self) -> &str {
        let typed = self.domain.as_deref().or(self.domain_option.as_deref());
        typed.unwrap_or_default()
    }
}

// Domains, as words or as options.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct DomainArgs {
    /// Ids, UUIDs or names
    #[arg(value_name = "DOMAIN", required_unless_present = "domain_options")]
    domains: Vec<String>,
    /// The same, as an option
    #[arg(long = "domain", value_name = "DOMAIN")]
    domain_options: Vec<String>,
}

impl DomainArgs {
    /// What was typed, the words first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let both = self.domains.iter().chain(&self.domain_options);
        both.map(String::as_str)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.domains.len() + self.domain_options.len()
    }
}

// A domain and a file.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[group(skip)]
pub struct DomainAndFile {
    /// Id, UUID or name
    #[arg(value_name = "DOMAIN")]
    first: OsString,
    /// The file
    #[arg(value_name = "FILE", required_unless_present = "domain_option")]
    second: Option<OsString>,
    /// The same as DOMAIN, as an option
    #[arg(long = "domain", value_name = "DOMAIN", conflicts_with = "second")]
    domain_option: Option<String>,
}

impl DomainAndFile {
    /// The domain as it was typed.
    pub fn domain(&self) -> Cow<'_, str> {
        match &self.domain_option {
            Some(domain) => Cow::Borrowed(domain),
            None => self.first.to_string_lossy(),
        }
    }

    /// The file: the second word, or the only one where the domain is an option.
    pub fn file(&self) -> &Path {
        Path::new(self.second.as_ref().unwrap_or(&self.first))
    }
}
