"""Secrets as people put them into a note, and harmless texts that look like one: two sets of thirty of each.

The first was written before any detector was read or run. What it showed was cured in our rules, so the second was written before that cure,
with other vendors and other look-alikes. The random parts are drawn, so that nothing here is anybody's key.
"""

from __future__ import annotations

import base64
import random
import string

__all__ = ["LOOK_ALIKES", "MORE_LOOK_ALIKES", "MORE_SECRETS", "SECRETS"]

_draw = random.Random(20)
ALNUM = string.ascii_letters + string.digits
UPPER = string.ascii_uppercase + string.digits
HEX = "0123456789abcdef"


def r(n: int, alphabet: str = ALNUM) -> str:
    """So many characters."""
    return "".join(_draw.choice(alphabet) for _ in range(n))


def b64(n: int) -> str:
    """So many bytes."""
    return base64.b64encode(_draw.randbytes(n)).decode()


def jwt() -> str:
    """A signed token of somebody called Ann."""
    parts = (b'{"alg":"HS256","typ":"JWT"}', b'{"sub":"1234567890","name":"Ann"}', _draw.randbytes(32))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


SECRETS = [
    ("OpenAI project key", f"Use sk-proj-{r(48)} for the new bot"),
    ("OpenAI key", f"my openai key is sk-{r(20)}T3BlbkFJ{r(20)}"),
    ("Anthropic", f"ANTHROPIC_API_KEY=sk-ant-api03-{r(93)}AA"),
    ("GitHub personal", f"the token for CI is ghp_{r(36)}"),
    ("GitHub fine-grained", f"github_pat_{r(22)}_{r(59)} expires in June"),
    ("GitLab", f"GitLab: glpat-{r(20)}"),
    ("AWS access key", f"AWS id AKIA{r(16, string.ascii_uppercase + '234567')}"),
    ("AWS secret", f"aws_secret_access_key = {r(40)}"),
    ("Google API", f"maps key AIza{r(35)}"),
    ("Google OAuth", f"client secret GOCSPX-{r(28)}"),
    ("Slack bot", f"slack: xoxb-{r(12, string.digits)}-{r(12, string.digits)}-{r(24)}"),
    ("Slack webhook", f"post to https://hooks.slack.com/services/T{r(8, UPPER)}/B{r(8, UPPER)}/{r(24)}"),
    ("Stripe live", f"Stripe's is sk_live_{r(24)}"),
    ("Twilio", f"Twilio auth: SK{r(32, HEX)}"),
    ("SendGrid", f"SG.{r(22)}.{r(43)} sends the mails"),
    ("Mailgun", f"mailgun key-{r(32, HEX)}"),
    ("npm", f"//registry.npmjs.org/:_authToken=npm_{r(36)}"),
    ("PyPI", f"upload with pypi-AgEIcHlwaS5vcmc{r(120)}"),
    ("Hugging Face", f"hf_{r(34)} reads the gated models"),
    ("DigitalOcean", f"dop_v1_{r(64, HEX)}"),
    ("Telegram bot", f"bot token {r(10, '123456789')}:AA{r(33)}"),
    ("Discord bot", f"discord M{r(23)}.{r(6)}.{r(27)}"),
    (
        "Azure storage",
        f"DefaultEndpointsProtocol=https;AccountName=files;AccountKey={b64(64)};EndpointSuffix=core.windows.net",
    ),
    ("private key", f"-----BEGIN RSA PRIVATE KEY-----\n{b64(48)}\n{b64(48)}\n-----END RSA PRIVATE KEY-----"),
    ("OpenSSH key", f"-----BEGIN OPENSSH PRIVATE KEY-----\n{b64(48)}\n-----END OPENSSH PRIVATE KEY-----"),
    ("JWT", f"The session is {jwt()}"),
    ("database address", f"postgres://admin:{r(14)}@db.example.org:5432/prod"),
    ("password in prose", "My Netflix password is Tr0ub4dor&3"),
    ("password assignment", 'db_password = "hunter2-But-Longer!"'),
    ("bearer header", f"Authorization: Bearer {r(40)}"),
]
LOOK_ALIKES = [
    ("git commit", f"Fixed in commit {r(40, HEX)}"),
    ("short commit", f"since {r(7, HEX)} the build is green"),
    ("UUID", "The ticket is 3f2b8c1e-7d4a-4b6f-9a51-0c8d2e6f7b90"),
    ("sha256 sum", f"sha256 of the ISO: {r(64, HEX)}"),
    ("docker digest", f"image@sha256:{r(64, HEX)}"),
    ("md5", f"md5 {r(32, HEX)} backup.tar"),
    ("YouTube", "Watch https://www.youtube.com/watch?v=dQw4w9WgXcQ"),
    (
        "document link",
        "The draft: https://docs.example.org/document/d/1BxiMVs0XRA5nFMdKvBdBZjgmUUqptlbs74OgvE2upms/edit",
    ),
    ("ISBN", "The book is ISBN 978-3-16-148410-0"),
    ("IBAN", "Transfer the rent to DE89 3704 0044 0532 0130 00"),
    ("phone", "Call Ann on +44 20 7946 0958"),
    ("password advice", "The password must have at least twelve characters"),
    ("password manager", "My password manager is Bitwarden"),
    ("forgotten password", "Anna forgot her password again yesterday"),
    ("secret of cooking", "The secret to a good risotto is patience"),
    ("token price", "The token price is 3 dollars per million"),
    ("public key", f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{r(43)} ann@laptop"),
    ("public PEM", f"-----BEGIN PUBLIC KEY-----\n{b64(48)}\n-----END PUBLIC KEY-----"),
    ("certificate", f"-----BEGIN CERTIFICATE-----\n{b64(48)}\n-----END CERTIFICATE-----"),
    ("placeholder", "Set OPENAI_API_KEY=<your key here> before you start"),
    ("variable", "password = os.environ['DB_PASSWORD']"),
    ("env reference", "export TOKEN=$GITHUB_TOKEN"),
    ("long word", "Donaudampfschifffahrtsgesellschaftskapitaen is one word"),
    ("path", "The file is /usr/local/lib/python3.11/site-packages/agentmem/extract/words.py"),
    ("address without password", "postgres://localhost:5432/prod is the staging copy"),
    ("kebab slug", "see sk-learn-contrib-imbalanced-ensemble-methods-for-tabular"),
    ("chemical", "InChIKey=BSYNRYMUTXBXSQ-UHFFFAOYSA-N is aspirin"),
    ("flight", "Booking X7K2PQ, flight LH1234, seat 24A"),
    ("stripe publishable", f"the page uses pk_test_{r(24)}"),
    ("camel case", "The class is AbstractSingletonProxyFactoryBeanConfigurationManager"),
]
MORE_SECRETS = [
    ("Shopify", f"shop token shpat_{r(32, HEX)}"),
    ("Square", f"Square gave me EAAAE{r(59)}"),
    ("Linear", f"lin_api_{r(40)} is for the tracker"),
    ("Notion", f"Notion: secret_{r(43)}"),
    ("Atlassian", f"Jira wants ATATT3xFfGF0{r(160)}"),
    ("Datadog", f"DD_API_KEY={r(32, HEX)}"),
    ("New Relic", f"NRAK-{r(27, UPPER)} reads the dashboards"),
    ("Databricks", f"dapi{r(32, HEX)} on the staging workspace"),
    ("Vault", f"vault login hvs.{r(90)}"),
    ("Doppler", f"doppler: dp.pt.{r(43)}"),
    ("Postman", f"PMAK-{r(24, HEX)}-{r(34, HEX)}"),
    ("PlanetScale", f"pscale_tkn_{r(43)} for the branch"),
    ("Supabase", f"sbp_{r(40, HEX)}"),
    ("Airtable", f"Airtable pat{r(14)}.{r(64, HEX)}"),
    ("Sentry", f"sntrys_{r(80)}"),
    ("Dropbox", f"dropbox sl.{r(130)}"),
    ("Okta", f"SSWS 00{r(40)} in the header"),
    ("Cloudflare", f"cloudflare api token: {r(40)}"),
    ("Terraform", f"{r(14)}.atlasv1.{r(64)}"),
    ("Replicate", f"REPLICATE_API_TOKEN=r8_{r(37)}"),
    ("Groq", f"gsk_{r(52)} is the fast one"),
    ("xAI", f"xai-{r(80)}"),
    ("Perplexity", f"pplx-{r(48)}"),
    ("Pinecone", f"pcsk_{r(5)}_{r(60)}"),
    ("age key", f"AGE-SECRET-KEY-1{r(58, 'QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L')}"),
    ("mongo address", f"mongodb+srv://app:{r(18)}@cluster0.example.net/shop"),
    ("wifi", "The wifi password is Blue-Kettle-77"),
    ("basic auth", f"curl -u deploy:{r(22)} https://ci.example.org/hook"),
    ("yaml", f"smtp_password: {r(16)}"),
    ("client secret", f"client_secret={r(8)}~{r(31)}"),
]
MORE_LOOK_ALIKES = [
    (
        "pull request",
        "https://github.com/pandas-dev/pandas/pull/58370/files#diff-0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    ),
    ("arXiv", "arXiv:2211.11031v5 describes GRACE"),
    ("DOI", "doi:10.1145/3442188.3445922"),
    ("tracking number", "UPS says 1Z999AA10123456784 arrives on Monday"),
    ("licence plate", "The rental has the plate M-AB 1234"),
    ("MAC address", "The printer is 00:1B:44:11:3A:B7"),
    ("IPv6", "ping 2001:0db8:85a3:0000:0000:8a2e:0370:7334"),
    ("wheel", "numpy-2.4.6-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl"),
    ("npm integrity", f"sha512-{b64(64)}"),
    ("container tag", "registry.example.org/team/service:2026-05-13-build.4711"),
    ("data address", f"data:image/png;base64,{b64(60)}"),
    ("etag", f'ETag: "{r(32, HEX)}"'),
    ("hex colour", "background is #1F2937, text #F9FAFB"),
    ("wallet address", f"Send it to 0x{r(40, HEX)}"),
    ("torrent", f"magnet:?xt=urn:btih:{r(40, HEX)}"),
    ("gene", "The variant is NM_000546.6(TP53):c.215C>G"),
    ("protein", "The peptide MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQ"),
    ("model name", "Qwen2.5-0.5B-Instruct-GPTQ-Int4 fits on the laptop"),
    ("environment name", "DATABASE_CONNECTION_POOL_MAX_OVERFLOW_SIZE is 10"),
    ("test name", "test_that_2FA_login_fails_after_3_wrong_attempts_v2 is flaky"),
    ("password question", "What is the password policy of the bank?"),
    ("password change", "I changed my password last Monday"),
    ("pin", "I will pin the list to the fridge"),
    ("token count", "The prompt is 4096 tokens long"),
    ("key of a piano", "The key is C sharp minor"),
    ("secret santa", "Secret Santa: I drew Ben"),
    ("call", "token = await client.fetch_token(scope='read')"),
    ("template", "password: {{ vault.db_password }}"),
    ("settings", "secret_key: ${DJANGO_SECRET_KEY}"),
    ("video and time", "https://youtu.be/9bZkp7q19f0?t=1m2s is the one"),
]
assert len(SECRETS) == len(MORE_SECRETS) == len(LOOK_ALIKES) == len(MORE_LOOK_ALIKES) == 30
