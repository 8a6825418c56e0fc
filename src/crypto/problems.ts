import { defineProblems } from '../kernel/problem.ts';

export const cryptoProblems = defineProblems('crypto', {
  no_matching_key: {
    status: 422,
    title: 'None of the keys opens this',
    help: 'The data is sealed to other keys than the ones given. Name the identity file of one of its recipients, or its passphrase.',
  },
  tampered: {
    status: 422,
    title: 'The encrypted data was changed',
    help: 'A part of the data does not have the authentication tag it was sealed with. Nothing from that part on was released. Take the data from a copy or a backup.',
  },
  truncated: {
    status: 422,
    title: 'The encrypted data is cut short',
    help: 'The data ends before its last chunk, as after an interrupted copy or download. Fetch it again.',
  },
  malformed_header: {
    status: 422,
    title: 'Not a well-formed age file',
    help: 'The data does not start with a header as the age v1 format defines it. Check that it is an age file and was not converted on the way, for example by a change of line ends.',
  },
  malformed_armor: {
    status: 422,
    title: 'Not well-formed age armor',
    help: 'The text between BEGIN and END AGE ENCRYPTED FILE is not strict PEM: lines of 64 base64 characters, nothing before or after but white space. Copy it again without changes.',
  },
  unsupported_version: {
    status: 422,
    title: 'This version of the age format is not known',
    help: 'The file declares another version than age-encryption.org/v1. Read it with a newer Modelkeep or a newer age.',
  },
  unsupported_key: {
    status: 422,
    title: 'This kind of key is not supported',
    help: 'Recipients are age1…, age1pq1… and SSH keys of type ssh-ed25519 or ssh-rsa; identities are AGE-SECRET-KEY-1…, AGE-SECRET-KEY-PQ-1… and SSH private keys. Plugin and security keys are not supported; the detail says how to convert an SSH key file where that helps.',
  },
  invalid_key: {
    status: 422,
    title: 'The key is not valid',
    help: 'The text is not a key of the expected kind: a character is missing or wrong, or it is a secret key where a public one belongs. Make one with "modelkeep keygen".',
  },
  scrypt_cost: {
    status: 422,
    title: 'The passphrase would cost too much to check',
    help: 'The file asks for a scrypt work factor, or an SSH key for bcrypt rounds, above the limit: gigabytes of memory or minutes of work. Only a hostile or an unusual file does so.',
  },
  invalid_token: {
    status: 422,
    title: 'The Fernet token is not valid',
    help: 'The token is malformed, expired, or made with another key. Which of them is not told, because an attacker could use it.',
  },
  too_large: {
    status: 413,
    title: 'Too large for a Fernet token',
    help: 'A Fernet token must be held in memory as a whole, so its size is limited. Encrypt larger data in the age format, which is the default of "modelkeep encrypt".',
  },
  output_exists: {
    status: 409,
    title: 'The output file exists',
    help: 'An existing file is not overwritten. Choose another name, or give --force.',
  },
  output_refused: {
    status: 409,
    title: 'The output cannot be written there',
    help: 'The output is the input itself, a symbolic link, a file with several hard links, or not a regular file. Write to a new name and move it.',
  },
  input_unreadable: {
    status: 404,
    title: 'The input cannot be read',
    help: 'The file does not exist, is a directory, or may not be read by this user.',
  },
  binary_to_terminal: {
    status: 400,
    title: 'Binary data is not written to a terminal',
    help: 'Name an output file with -o, redirect the output, or ask for text with --armor.',
  },
  not_writable: {
    status: 507,
    title: 'The file cannot be written',
    help: 'The disk is full, read-only, or the directory belongs to another user. Nothing was left behind.',
  },
  root_key_missing: {
    status: 500,
    title: 'The root key file is missing',
    help: 'Without the root key the key ring cannot be opened. Restore the file from where it is kept safe; a new key does not help.',
  },
  root_key_exists: {
    status: 409,
    title: 'A root key file exists',
    help: 'A root key is never overwritten: everything sealed under it would be lost.',
  },
  root_key_exposed: {
    status: 500,
    title: 'The root key file is not private',
    help: 'The root key must be a regular file of the user who runs Modelkeep, readable by nobody else: chmod 600. If others could read it, replace the key.',
  },
  root_key_malformed: {
    status: 500,
    title: 'The root key file is damaged',
    help: 'The file must hold one age identity (AGE-SECRET-KEY-1…) and nothing else but comments.',
  },
  wrong_root_key: {
    status: 500,
    title: 'The root key does not open the key ring',
    help: 'keyring.age is sealed to another root key. Use the root key that belongs to this keep.',
  },
  keyring_missing: {
    status: 500,
    title: 'The key ring is missing',
    help: 'keyring.age is not in the keep. Restore it from a backup; without it nothing stored can be decrypted.',
  },
  keyring_exists: {
    status: 409,
    title: 'A key ring exists',
    help: 'A key ring is never overwritten by a new one: everything sealed under it would be lost.',
  },
  keyring_corrupt: {
    status: 500,
    title: 'The key ring is damaged',
    help: 'keyring.age does not verify or does not hold a key ring. Restore it from a backup.',
  },
  keyring_newer: {
    status: 500,
    title: 'The key ring is from a newer Modelkeep',
    help: 'keyring.age has a format that this version does not know. Run the version that wrote it, or a later one.',
  },
  keyring_conflict: {
    status: 409,
    title: 'The key ring was changed by someone else',
    help: 'keyring.age is no longer the one that was opened. Stop the other process, and open the keep again.',
  },
  key_unavailable: {
    status: 500,
    title: 'The key is not available',
    help: 'The key ring has no such key or version, or it was destroyed, or it has another purpose.',
  },
  root_key_weak: {
    status: 422,
    title: 'The root key would be easy to guess',
    help: 'A passphrase that guards a keep has at least 16 characters; several random words are easy to type. A key given as bytes must be random: openssl rand -base64 32.',
  },
  root_key_params: {
    status: 500,
    title: 'The parameters of the root passphrase are not usable',
    help: 'root.params says how the passphrase becomes the root key. It is damaged, or demands more memory or time than any honest one. Restore it from a backup.',
  },
  root_key_sealed_malformed: {
    status: 500,
    title: 'The sealed root key is damaged',
    help: 'root.key.sealed is not what Modelkeep wrote, or what the key service gave for it is not a root key. Restore it from a backup.',
  },
  root_key_mismatch: {
    status: 500,
    title: 'The sealed root key belongs to another key',
    help: 'root.key.sealed was wrapped by another provider or another key than the configuration names, or was exchanged for another file. Where the key is comes from the configuration alone. Put back the file or the setting that belongs to this keep.',
  },
  root_key_refused: {
    status: 500,
    title: 'The root-key provider refused',
    help: 'The key service answered, but not with the key: its credential is wrong or expired, it may not use the key, or the key does not exist or does not open this. Look into the log of the service.',
  },
  root_key_unreachable: {
    status: 503,
    title: 'The root-key provider cannot be reached',
    help: 'The key service does not answer, or is sealed or overloaded. A keep does not start without its root key; one that runs keeps what it has opened. Bring the service back and start again.',
  },
  root_key_package_missing: {
    status: 500,
    title: 'A package for the root-key provider is not installed',
    help: 'The client of this provider is not part of Modelkeep. Install it beside Modelkeep; the message names the command.',
  },
});
