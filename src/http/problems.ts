import { defineProblems } from '../kernel/problem.ts';

export const httpProblems = defineProblems('http', {
  bad_path: {
    status: 400,
    title: 'The path is not acceptable',
    help: 'Send a plain path: no `..` or empty segments, no encoded slash, NUL, backslash or control character, valid UTF-8 in Unicode NFC, at most 256 characters between slashes.',
  },
  bad_query: {
    status: 400,
    title: 'The query string is not acceptable',
    help: 'Each parameter may appear once, percent-encoded as UTF-8.',
  },
  bad_host: {
    status: 400,
    title: 'The Host header is not acceptable',
    help: 'Send exactly one Host header with a host name or address and, if needed, a port.',
  },
  bad_headers: {
    status: 400,
    title: 'The headers are not acceptable',
    help: 'A header that decides something (Authorization, Content-Type, Content-Length, Transfer-Encoding, Host) may appear once.',
  },
  malformed: {
    status: 400,
    title: 'The request is not HTTP/1.1',
    help: 'The bytes on the connection could not be read as a request, or could be read in two ways (Content-Length beside Transfer-Encoding). The connection was closed.',
  },
  headers_too_large: {
    status: 431,
    title: 'The headers are too large',
    help: 'Send fewer or shorter headers, or raise `limits.headerBytesMax` or `limits.headerCountMax`.',
  },
  slow_request: {
    status: 408,
    title: 'The request took too long to arrive',
    help: 'Headers and body have a deadline (`limits.headersMs`, `limits.bodyMs`). Send again, faster or smaller.',
  },
  not_found: {
    status: 404,
    title: 'No such route',
    help: 'This server has no route at that path. `/openapi.json` lists those it has.',
  },
  method_not_allowed: {
    status: 405,
    title: 'The route has no such method',
    help: 'The path exists with other methods; the Allow header lists them.',
  },
  body_too_large: {
    status: 413,
    title: 'The body is too large',
    help: 'The body is larger than this route takes (`limits.bodyBytesMax` for JSON). Send less, or raise the limit.',
  },
  body_refused: {
    status: 400,
    title: 'The route takes no body',
    help: 'Send the request without a body.',
  },
  unsupported_media_type: {
    status: 415,
    title: 'The body has the wrong type',
    help: 'Send JSON as `content-type: application/json` in UTF-8 without a content encoding; routes that take a stream name their type in `/openapi.json`.',
  },
  malformed_json: {
    status: 400,
    title: 'The body is not acceptable JSON',
    help: 'The body must be one JSON value in UTF-8 without byte order mark, without duplicate or `__proto__` keys, NaN, lone surrogates or deep nesting. `offset` counts UTF-16 code units from 0.',
  },
  invalid: {
    status: 422,
    title: 'The request does not have the right shape',
    help: '`violations` lists every place that is wrong: where, then why.',
  },
  expectation_failed: {
    status: 417,
    title: 'The expectation cannot be met',
    help: 'The only Expect header that is understood is `100-continue`.',
  },
  client_gone: {
    status: 499,
    title: 'The client went away',
    help: 'The connection closed before the request was complete. Nobody reads this answer; the entry in the audit log does.',
  },
  deadline: {
    status: 504,
    title: 'The answer took too long',
    help: 'The work did not finish within `limits.handleMs` and was told to stop.',
  },
  unrecorded: {
    status: 503,
    title: 'The attempt could not be recorded',
    help: 'Nothing leaves this server that is not in its audit log, and the log could not be written. See the operator log.',
  },
  internal: {
    status: 500,
    title: 'The server failed',
    help: 'An error that this server did not foresee. The operator log has the cause under the same `requestId`.',
  },
  cannot_listen: {
    status: 500,
    title: 'The server cannot listen',
    help: 'The address is in use, not of this machine, or not permitted. Choose another with `--host`, `--port`.',
  },
});
