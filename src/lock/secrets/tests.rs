use super::*;

/// Checks which keys are found, one setting after another.
fn check(cases: &[(&str, &[&str])]) {
    for (toml, expected) in cases {
        let table = toml::from_str(toml).unwrap();
        assert_eq!(find(&table), *expected, "{toml}");
    }
}

const NONE: &[&str] = &[];

#[test]
fn a_name_tells_of_a_secret() {
    check(&[
        (
            "[model_providers.mock]\nexperimental_bearer_token = 'x'",
            &["model_providers.mock.experimental_bearer_token"],
        ),
        ("api_key = 'x'", &["api_key"]),
        ("apiKey = 'x'", &["apiKey"]),
        ("\"api-key\" = 'x'", &["api-key"]),
        ("openai_api_key = 'x'", &["openai_api_key"]),
        ("[mcp_servers.a.oauth]\nclient_secret = 'x'", &["mcp_servers.a.oauth.client_secret"]),
        ("db_password = '${lower'", &["db_password"]),
        ("[a.\"b.c\"]\nsecret = 'x'", &["a.\"b.c\".secret"]),
        ("token = '$ecret1'", &["token"]),
        ("tokens = ['env:A', 'x']", &["tokens"]),
        ("servers = [{name = 'a', token = 'x'}]", &["servers"]),
        ("private_key = 'MIIB'", &["private_key"]),
        ("github_pat = 'x'", &["github_pat"]),
        ("pin = '1234'\notp = '123 456'", &["otp", "pin"]),
        ("admin_session = 'b2c4'", &["admin_session"]),
    ]);
}

#[test]
fn references_and_names_of_variables_are_no_secrets() {
    check(&[
        ("api_key = 'env:OPENAI_API_KEY'", NONE),
        ("api_key = ''", NONE),
        ("api_key = '${OPENAI_API_KEY}'", NONE),
        ("token = '$TOKEN'", NONE),
        ("[model_providers.mock]\nenv_key = 'OPENAI_API_KEY'", NONE),
        ("env_key_instructions = 'Set OPENAI_API_KEY to your API key'", NONE),
        ("[mcp_servers.a]\nbearer_token_env_var = 'A_TOKEN'\nenv_vars = ['A_TOKEN']", NONE),
        ("[mcp_servers.a.env_http_headers]\nAuthorization = 'A_TOKEN'", NONE),
        ("[mcp_servers.a.env]\nTOKEN = 'env:TOKEN'\nPORT = 1", NONE),
        ("[shell_environment_policy]\nexclude = ['*TOKEN*', '*SECRET*']", NONE),
        ("api_key = 'env:not a name'", &["api_key"]),
        ("api_key = 'env:'", &["api_key"]),
    ]);
    assert_eq!(variable("env:A_1"), Some("A_1"));
    assert_eq!((variable("env:"), variable("env:1A"), variable("A")), (None, None, None));
}

#[test]
fn settings_about_secrets_are_none() {
    check(&[
        ("model_auto_compact_token_limit = 1\nmodel_max_output_tokens = 2", NONE),
        ("cli_auth_credentials_store = 'file'\nmcp_oauth_credentials_store = 'auto'", NONE),
        ("features = {secret_auth_storage = false, token_budget = true}", NONE),
        ("token_file = '/run/token'\nsecret_path = '/run/secret'", NONE),
        ("tokenizer = 'o200k'\napproval_policy = 'never'\nmonkey = 'x'\nkey = 'ctrl-c'", NONE),
        ("[mcp_servers.token-server]\ncommand = 'serve'", NONE),
        ("otel.exporter.otlp-http.tls.client-private-key = '/etc/otel/key.pem'", NONE),
        ("mcp_servers.a.auth = 'oauth'", NONE),
        ("session = 'main'\npin = 'v1.2.3'\npatch = 'Zx81qP0r'\npath = 'Zx81qP0r'", NONE),
        ("spinner = 'Zx81qP0r'\nsession_id = 'b2c4'\nsession_mode = 'b2c4'", NONE),
        ("forced_login_method = 'chatgpt'\npreferred_auth_method = 'apikey'", NONE),
        ("developer_instructions = '''Never print\na password: ask for it.'''", NONE),
    ]);
}

#[test]
fn headers_and_environments_are_looked_into() {
    check(&[
        (
            "[mcp_servers.a.http_headers]\nAuthorization = 'Basic eA=='\nX-Region = 'eu'",
            &["mcp_servers.a.http_headers.Authorization"],
        ),
        ("http_headers = {Cookie = 'a=b'}", &["http_headers.Cookie"]),
        ("http_headers = {x-api-key = 'a'}", &["http_headers.x-api-key"]),
        ("http_headers = {X-Auth = 'a'}", &["http_headers.X-Auth"]),
        ("http_headers = {Authorization = 'Bearer env:TOKEN'}", NONE),
        ("http_headers = {X-Trace = 'Bearer abcdef'}", &["http_headers.X-Trace"]),
        ("http_headers = {X-Session = 'abc'}", &["http_headers.X-Session"]),
        ("http_headers = {X-Session-Id = 'b2c4e6'}", &["http_headers.X-Session-Id"]),
        ("http_headers = {X-Team = 'Zx81qP0r'}", &["http_headers.X-Team"]),
        (
            "[http_headers]\nContent-Type = 'application/json; charset=utf-8'\nX-Tier = 'gold'\n\
             User-Agent = 'Tool/2.0b1 (x86_64)'\nanthropic-version = '2023-06-01b'\n\
             HTTP-Referer = 'https://host.example/a'\nX-Title = 'My App No1'\n\
             X-Beta = 'tools-2024-05-16'\nX-Retries = '3'\nX-Features = 'a=on,b=off'",
            NONE,
        ),
        ("http_headers = {X-A = 'env:A', X-B = '${B}'}", NONE),
        (
            "[mcp_servers.a.env]\nLEVEL = 'debug'\nPORT = '8080'\nHOME = '/home/dev'\nU = 'http://x/y'",
            NONE,
        ),
        (
            "[mcp_servers.a.env]\nX = 'Zx81qP0r'\nY = 'aBcDeFgH'",
            &["mcp_servers.a.env.X", "mcp_servers.a.env.Y"],
        ),
        ("[mcp_servers.a.env]\nDB_PASS = 'debug'", &["mcp_servers.a.env.DB_PASS"]),
        ("[mcp_servers.a.env]\nPIN = 'correct-horse-battery'", &["mcp_servers.a.env.PIN"]),
        ("[mcp_servers.a.env]\nGITHUB_PAT = 'debug'", &["mcp_servers.a.env.GITHUB_PAT"]),
        ("[mcp_servers.a.env]\nX = 'hunter2'", &["mcp_servers.a.env.X"]),
        ("[mcp_servers.a.env]\nX = '3f2a9c81-77d0-4c55'", &["mcp_servers.a.env.X"]),
        (
            "[mcp_servers.a.env]\nLC_ALL = 'en_US.UTF-8'\nTZ = 'Europe/Berlin'\nSINCE = '2026-01-31'\n\
             DB_HOST = 'db07x.example'\nARCH = 'x86'\nOPTIONS = '--max-old-space-size=4096'",
            NONE,
        ),
        ("plugins.p.mcp_servers.a.env.X = 'y1!z'", &["plugins.p.mcp_servers.a.env.X"]),
        ("query_params = {api-version = '1', key = 'x'}", &["query_params.key"]),
        (
            "[shell_environment_policy.set]\nLANG = 'C'\nGITHUB_TOKEN = 'x'\nMYSQL_PWD = 'y'\n\
             PGPASSWORD = 'z'\nX = 'Zx81qP0r'\nLC_ALL = 'C.UTF-8'\nPATH = '/usr/bin:/bin'\nPWD = '/tmp'\nSSH_AUTH_SOCK = '/run/agent'",
            &[
                "shell_environment_policy.set.GITHUB_TOKEN",
                "shell_environment_policy.set.MYSQL_PWD",
                "shell_environment_policy.set.PGPASSWORD",
                "shell_environment_policy.set.X",
            ],
        ),
        (
            "[shell_environment_policy.set]\nDB = 'postgres://u:p@db/x'",
            &["shell_environment_policy.set.DB"],
        ),
    ]);
}

#[test]
fn a_form_tells_of_a_secret_wherever_it_is() {
    for value in [
        "https://user:pass@proxy.example/",
        "see https://user:pass@proxy.example for more",
        "https://host.example/v1?api_key=x",
        "https://host.example/v1?a=b&sig=x#there",
        "ghp_0123456789abcdefghij",
        "--key=sk-proj-0123456789abcdefghij",
        "https://github_pat_0123456789abcdef@github.com/x",
        "AKIA0123456789ABCDEF",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "-----BEGIN RSA PRIVATE KEY-----\nx",
        "Bearer abc",
        "https://T0KEN@host.example/",
        "https://0a1b2c3d:@host.example/",
        "https://host.example/?k=x1y2z3w4",
        "Call curl -H \"Authorization: Bearer q9Zx81qP0rAbCdEf\" host.example.",
        "Send 'Authorization: token q9Zx81qP'.",
        "First run `export OPENAI_API_KEY=q9Zx81qP0r`.",
        "Don't forget:\nexport DB_PASSWORD=\"Hunter2x9\"\n",
        "The header X-Api-Key: q9Zx81qP0r, always.",
        "In JSON it is {\"client_secret\": \"q9Zx81qP0r\"}.",
        "dop_v1_0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        "SG.0123456789abcdefghijkl.0123456789abcdefghijklmnopqrstuvwxyz01234567890",
    ] {
        let table = Table::from_iter([("x".to_owned(), value.into())]);
        assert_eq!(find(&table), ["x"], "{value}");
    }
    for value in [
        "https://user@host.example/",
        "ssh://git@host.example:22/x",
        "https://user:$PASSWORD@host.example/",
        "https://user:<password>@host.example/",
        "http://127.0.0.1:9/v1?api-version=2026-01-01",
        "https://host.example/v1?key=env:KEY",
        "https://$TOKEN@host.example/",
        "https://jane.doe@host.example/",
        "https://host.example/?k=word",
        "sk-learn",
        "sk-and-then-a-long-name-of-words",
        "Bearer of good news",
        "Token budgets are small.",
        "-----BEGIN PUBLIC KEY-----",
        "Say export API_KEY=your-key-here, or API_KEY=$KEY, or API_KEY=<key-0123456789>.",
        "The token: a word. The password: 2026-01-31. A secret=http://host.example/a1b2c3",
        "In Python: token = os.environ[\"TOKEN9\"], key(token=f1(x)), token=next_token2()",
        "At most max_tokens=128000, in utf-8, by api_key_file=a1b2c3d4e5.",
        "é: pássword: ünï",
        "Report `PASS: tests/it/test_session42.py` for each. PASS: src/session42.rs",
        "First pass: step1Parser. tokens: cl100k_base. Model tokens: gpt-4o-128k.",
        "token: Int32Literal. Authorization: OAuth2.0 with PKCE. CSRF token: X-CSRF-Token2",
        "Passwords: bcrypt-12rounds. design-tokens: tokens/v2/colors2.json",
    ] {
        let table = Table::from_iter([("x".to_owned(), value.into())]);
        assert_eq!(find(&table), NONE, "{value}");
    }
}

#[test]
fn words_of_commands_are_looked_into() {
    check(&[
        ("args = ['--token', 'x']", &["args"]),
        ("args = ['--api-key=x']", &["args"]),
        ("args = ['--pat', 'x']", &["args"]),
        ("args = ['--pin', '1234']", &["args"]),
        ("args = ['--session=b2c4']", &["args"]),
        ("args = ['https://T0KEN@host.example/mcp']", &["args"]),
        (
            "args = ['--pin', '1.2.3', '--session', 'main', '--session-id', 'b2c4', '--path', 'X1']",
            NONE,
        ),
        ("args = ['run', '-e', 'GITHUB_TOKEN=x']", &["args"]),
        ("args = ['--header', 'Authorization: Bearer x']", &["args"]),
        ("args = ['--header', 'Authorization:x']", &["args"]),
        ("args = ['--header=Authorization: Bearer x']", &["args"]),
        ("args = ['--header=X-Api-Key:x']", &["args"]),
        ("args = ['--header', 'X-Team: Zx81qP0r']", &["args"]),
        ("args = ['-H', 'X-Auth: x']", &["args"]),
        ("args = ['-H X-Auth: x']", &["args"]),
        ("args = ['-HCookie: a=b']", &["args"]),
        ("args = ['--headers', '{\"Authorization\": \"Bearer x\"}']", &["args"]),
        ("args = ['--config={\"serpApiKey\":\"x\"}']", &["args"]),
        ("args = ['--config', '\"{\\\"apiKey\\\":\\\"x\\\"}\"']", &["args"]),
        ("args = ['--env=GITHUB_TOKEN=x']", &["args"]),
        ("args = ['-u', 'jane:hunter2']", &["args"]),
        ("args = ['--user=jane:hunter2']", &["args"]),
        ("args = ['-c', 'export API_KEY=x && npx tool']", &["args"]),
        ("args = ['-lc', 'npx tool --token x']", &["args"]),
        ("args = ['-c', \"curl -H 'X-Auth: x' https://host.example\"]", &["args"]),
        ("args = ['host=db user=app password=hunter dbname=x']", &["args"]),
        ("args = ['host=db user=app password=$PASSWORD dbname=x', 'a = b']", NONE),
        ("args = ['--connection-string', 'Server=h;User Id=sa;Password=Hunter2x9;']", &["args"]),
        ("args = ['--user', 'bob:Hunter2x9']", &["args"]),
        ("args = ['-H', 'X-Custom: abc123x']", &["args"]),
        ("args = ['-c', 'export GITHUB_TOKEN=q9Zx81qP0rAbCdEf && exec npx srv']", &["args"]),
        ("args = ['--url', 'https://hooks.slack.com/services/T01/B02/abc']", &["args"]),
        (
            "args = ['--header', 'Accept: text/html', '--header=X-Region: eu', '-H', 'X-Auth: $AUTH']",
            NONE,
        ),
        ("args = ['--header', 'Authorization:${AUTH_HEADER}', '-H=X-Key:env:KEY']", NONE),
        ("args = ['-u', '1000:1000', '--user', 'node:node', '-u', 'jane:$PASSWORD']", NONE),
        ("args = ['-c', 'npx tool --token \"$TOKEN\" && echo \"all done\"']", NONE),
        ("args = ['-c', 'TOKEN=$(cat /run/token) npx tool --key $1 --api-key ${KEY:?}']", NONE),
        ("args = ['-c', 'run(token=os.environ[\"T\"])']", NONE),
        ("args = ['--config', '{\"apiKey\": \"${KEY}\", \"limit\": 1}', '-Hello']", NONE),
        ("args = ['-c', 'model_providers.x.env_key=\"KEY\"', '--max-tokens', '100']", NONE),
        ("args = ['run', '-e', 'GITHUB_TOKEN', '--token', 'env:A', '--api-key=env:B']", NONE),
        ("args = ['--token-file', '/run/token', '--password', '--verbose']", NONE),
        ("args = ['--header', 'Authorization: Bearer ${TOKEN}']", NONE),
        ("args = ['-y', 'mcp-remote@1', 'https://host.example/mcp', 'secret://x']", NONE),
    ]);
}

#[test]
fn what_is_found_can_be_hidden() {
    let table = toml::from_str("a = 1\ntoken = 'x'\n[b.\"c.d\"]\nargs = ['--token', 'x']\n");
    let hidden = hide(&table.unwrap(), |key| if key == "token" { "-" } else { "+" });
    let expected: Table = toml::from_str("a = 1\ntoken = '-'\n[b.\"c.d\"]\nargs = '+'\n").unwrap();
    assert_eq!(hidden, expected);
}
