import { configKeys } from './key.ts';

/** `docs/reference/configuration.md`. Made from the schema, so that neither can say what the other does not. */
export function configReference(): string {
  const rows = configKeys.map(({ name, variable, about, kind, fallback }) => {
    const value = fallback === undefined ? '' : `\`${JSON.stringify(fallback)}\``;
    return `| \`${name}\` | ${kind} | ${value} | ${about} | \`${variable}\` |`;
  });
  return `# Configuration

Flags win over environment variables, those over \`modelkeep.yaml\` in the keep's directory, and that over the defaults.
Unknown keys and variables are refused, every violation is reported at once, and \`modelkeep config check\` reports them
without starting anything. A variable's list is separated by commas. Secrets stand here by reference only:
\`env:NAME\`, \`file:/path\`. A relative path in the file starts at the keep's directory.

\`tls: terminated-upstream\` is short for \`tls.mode\`. A host beyond loopback is refused unless \`tls.certificate\` and
\`tls.key\` are set, or \`tls.mode\` says that a proxy in front ends TLS.

[config.schema.json](config.schema.json) is the JSON Schema of the file, for editors:

\`\`\`yaml
listen:
  port: 8750
limits:
  bodyBytesMax: 2097152
serving:
  defaultModel: default/polarity
\`\`\`

| key | kind | default | meaning | variable |
|---|---|---|---|---|
${rows.join('\n')}
`;
}
