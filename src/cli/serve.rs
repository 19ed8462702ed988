//! Arguments of `kv serve`.

use std::net::{Ipv4Addr, Ipv6Addr};

use clap::{Args, ValueHint};

use crate::cli::value;
use crate::wire::http::Address;

/// Arguments of `kv serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Listen on ADDR:PORT or on unix:PATH
    #[arg(long, value_name = "ADDRESS", value_parser = listen, default_value = "127.0.0.1:8080")]
    #[arg(value_hint = ValueHint::Other)]
    pub listen: Address,

    /// Answer to NAME too, besides the address and `localhost`; may be given more than once
    #[arg(long, value_name = "NAME", value_parser = host, value_hint = ValueHint::Hostname)]
    pub host: Vec<String>,

    /// Take values of at most SIZE
    #[arg(long, value_name = "SIZE", value_parser = value::size, default_value = "1G")]
    #[arg(allow_negative_numbers = true, value_hint = ValueHint::Other)]
    pub max_value: u64,

    /// Let nobody change anything
    #[arg(long)]
    pub read_only: bool,
}

/// Reads what a request can name as its `Host`, without a port.
fn host(text: &str) -> Result<String, String> {
    let name = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let name = name.unwrap_or(text);
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match name.parse::<Ipv6Addr>().is_ok() || (!name.is_empty() && name.bytes().all(is_name)) {
        true => Ok(name.to_owned()),
        false => Err("write a name or an address, without a port: kv.example.org".to_owned()),
    }
}

fn listen(text: &str) -> Result<Address, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return match path {
            "" => Err("`unix:` needs the path of a socket".to_owned()),
            path => Ok(Address::Unix(path.into())),
        };
    }
    if let Some(port) = text.strip_prefix("localhost:")
        && let Ok(port) = port.parse()
    {
        return Ok(Address::Tcp((Ipv4Addr::LOCALHOST, port).into()));
    }
    let address = text.parse();
    address
        .map(Address::Tcp)
        .map_err(|_| "write it as 127.0.0.1:8080, [::1]:8080 or unix:PATH".to_owned())
}
