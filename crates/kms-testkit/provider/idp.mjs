// A real OpenID Connect provider for the tests: `oidc-provider` with users who log in by one field,
// programs that have secrets, and routes below /test/ by which a test changes it while it runs.
//
// Started by `kms_testkit::provider` with one argument, JSON:
//   modules  where `oidc-provider` is installed
//   port     0 for any that is free
//   state    a directory that outlives the process: the keys are in it
//   tls      optional: { certificate, key }, files in PEM; the issuer is https then
// When it is ready it prints `issuer URL ADDRESS`, the address where the test itself asks it, without
// TLS. It ends when its standard input does.
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const options = JSON.parse(process.argv[2]);
const installed = createRequire(join(options.modules, 'package.json'));
const { default: Provider } = await import(pathToFileURL(installed.resolve('oidc-provider')));

// For whom the access tokens are, and the claim in which Auth0 and others have an e-mail.
const AUDIENCE = 'https://kms.test/';
const CLAIM = 'https://kms.test/email';
// Carol has never answered the letter that asks whether the address is hers.
const USERS = new Map(['alice', 'bob', 'carol'].map((name) => [name, {
  sub: name, email: `${name}@example.org`, email_verified: name !== 'carol',
}]));
// The programs. The robot is nobody's: its tokens have no e-mail.
const MACHINES = new Map([
  ['alice', { [CLAIM]: 'alice@example.org' }], ['bob', { [CLAIM]: 'bob@example.org' }], ['robot', {}],
]);
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';

let lifetime = 300;
const asked = {};

// The keys: the newest signs.
const keysFile = join(options.state, 'keys.json');
function newKey(alg) {
  const pair = alg === 'ES256'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...pair.privateKey.export({ format: 'jwk' }), kid: randomUUID(), alg, use: 'sig' };
}
function keep(changed) {
  writeFileSync(keysFile, JSON.stringify(changed), { mode: 0o600 });
  return changed;
}
let keys = existsSync(keysFile)
  ? JSON.parse(readFileSync(keysFile, 'utf8')) : keep([newKey('RS256')]);

function configuration() {
  return {
    jwks: { keys },
    clients: [
      {
        // `kms login`. Any port of 127.0.0.1 is good for a program on the user's own machine.
        client_id: 'kms', client_name: 'kms', application_type: 'native',
        token_endpoint_auth_method: 'none', response_types: ['code'],
        grant_types: ['authorization_code', 'refresh_token', DEVICE],
        redirect_uris: ['http://127.0.0.1/callback', 'http://[::1]/callback'],
      },
      ...[...MACHINES.keys()].map((name) => ({
        client_id: name, client_secret: `${name}-secret`, grant_types: ['client_credentials'],
        redirect_uris: [], response_types: [],
      })),
    ],
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    scopes: ['openid', 'email', 'offline_access', 'kms:use'],
    cookies: { keys: ['the tests have no secrets'] },
    findAccount: (_ctx, sub) => USERS.has(sub)
      ? { accountId: sub, claims: () => USERS.get(sub) } : undefined,
    // Nobody is asked twice: who logs in consents.
    loadExistingGrant: consent,
    // As Auth0 does; the library alone would want `prompt=consent` for each.
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    interactions: { url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      revocation: { enabled: true },
      userinfo: { enabled: true },
      resourceIndicators: {
        enabled: true,
        // Users who ask for no audience get a token that only the provider can read, as at Auth0.
        defaultResource: (ctx, _client, oneOf) => oneOf
          ?? (ctx.oidc.params.grant_type === 'client_credentials' ? AUDIENCE : undefined),
        getResourceServerInfo: (_ctx, audience) => ({
          scope: 'kms:use', audience, accessTokenFormat: 'jwt', accessTokenTTL: lifetime,
          jwt: { sign: { alg: keys[0].alg, kid: keys[0].kid } },
        }),
      },
    },
    extraTokenClaims: (_ctx, token) => {
      const user = USERS.get(token.accountId);
      if (!user) return { ...MACHINES.get(token.clientId), azp: token.clientId, gty: 'client-credentials' };
      const { email, email_verified } = user;
      return { email, email_verified, [CLAIM]: email, azp: token.clientId };
    },
  };
}

// Everything that is asked for, once and for all.
async function consent(ctx) {
  const { client, session, params, provider } = ctx.oidc;
  const known = ctx.oidc.result?.consent?.grantId ?? session.grantIdFor(client.clientId);
  const grant = (known && await provider.Grant.find(known))
    || new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  grant.addOIDCScope('openid email offline_access');
  for (const resource of [params.resource ?? []].flat()) grant.addResourceScope(resource, 'kms:use');
  await grant.save();
  return grant;
}

// The one page of ours: who are you? Whoever is logged in already is asked whether that may go on,
// as a program on the user's machine cannot prove that it is the one that it says.
async function interaction(request, response) {
  const { uid, prompt } = await provider.interactionDetails(request, response);
  const asksWho = prompt.name === 'login';
  if (request.method === 'GET') return page(response, 200, uid, asksWho, '');
  const fields = new URLSearchParams(await body(request));
  if (fields.has('cancel')) {
    const result = { error: 'access_denied', error_description: 'the user said no' };
    return provider.interactionFinished(request, response, result);
  }
  const name = fields.get('login')?.replace(/@example\.org$/, '');
  if (asksWho && !USERS.has(name)) return page(response, 403, uid, true, 'Nobody of that name.');
  const result = { consent: {}, ...(asksWho && { login: { accountId: name } }) };
  return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
}

function page(response, status, uid, asksWho, problem) {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  const title = asksWho ? 'Log in' : 'Go on?';
  const field = asksWho ? '<label>E-mail <input name="login" type="email" autofocus></label>' : '';
  response.end(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>${title}</title></head><body>
<h1>${title}</h1><p role="alert">${problem}</p>
<form method="post" action="/interaction/${uid}">${field}
<button type="submit">${title}</button> <button type="submit" name="cancel" value="yes">Cancel</button>
</form></body></html>
`);
}

async function body(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString('utf8');
}

// What a test may change while the provider runs.
const CHANGES = {
  // A new key that signs from now on; the old ones stay in the set.
  '/test/rotate': (query) => renew([newKey(query.get('alg') ?? 'ES256'), ...keys]),
  // The same, and the old ones leave it.
  '/test/replace': () => renew([newKey('RS256')]),
  // How long access tokens are good for from now on.
  '/test/lifetime': (query) => `${lifetime = Number(query.get('seconds'))}`,
  // How often each path was asked for.
  '/test/asked': () => JSON.stringify(asked),
};
function renew(changed) {
  keys = keep(changed);
  make();
  return keys[0].kid;
}

let issuer, provider, answer;
function make() {
  // What is kept of sessions, codes and tokens is the library's one memory: it stays.
  provider = new Provider(issuer, configuration());
  answer = provider.callback();
}

async function serve(request, response) {
  const { pathname, searchParams } = new URL(request.url, issuer);
  if (Object.hasOwn(CHANGES, pathname)) return response.end(CHANGES[pathname](searchParams));
  asked[pathname] = (asked[pathname] ?? 0) + 1;
  if (pathname.startsWith('/interaction/')) return interaction(request, response);
  return answer(request, response);
}
function listener(request, response) {
  serve(request, response).catch((error) => {
    console.error(error);
    if (!response.headersSent) response.writeHead(500);
    response.end('see the log\n');
  });
}

function listen(server, port) {
  return new Promise((resolve) => {
    server.listen(port, '127.0.0.1', () => resolve(`127.0.0.1:${server.address().port}`));
  });
}
const { tls } = options;
const plain = await listen(http.createServer(listener), tls ? 0 : options.port);
issuer = `http://${plain}/`;
if (tls) {
  const certificate = { cert: readFileSync(tls.certificate), key: readFileSync(tls.key) };
  issuer = `https://${await listen(https.createServer(certificate, listener), options.port)}/`;
}
make();
console.log(`issuer ${issuer} ${plain}`);
process.stdin.on('end', () => process.exit(0)).resume();
