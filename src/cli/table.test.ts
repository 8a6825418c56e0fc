import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { printable, renderBytes, renderFacts, renderTable, renderTime } from './table.ts';

interface Row {
  readonly name: string;
  readonly size: number;
  readonly note?: string;
}

const columns = [
  { title: 'NAME', value: (row: Row) => row.name },
  { title: 'SIZE', value: (row: Row) => row.size, align: 'right' as const },
  { title: 'NOTE', value: (row: Row) => row.note, shrink: true },
];

describe('renderTable', () => {
  it('aligns columns and leaves no white space at line ends', () => {
    const text = renderTable(
      columns,
      [
        { name: 'a', size: 1, note: 'x' },
        { name: 'longer', size: 1234 },
      ],
      undefined,
    );
    assert.equal(text, 'NAME    SIZE  NOTE\na          1  x\nlonger  1234  -\n');
  });

  it('fits a terminal by cutting only the columns that may be cut', () => {
    const rows = [{ name: 'key_0123456789', size: 7, note: 'a very long remark on this key' }];
    const lines = renderTable(columns, rows, 40).trimEnd().split('\n');
    assert.deepEqual(lines, ['NAME            SIZE  NOTE', 'key_0123456789     7  a very long remar…']);
    assert.ok(lines.every((line) => line.length <= 40));
  });

  it('keeps a readable rest of a column on a terminal that is far too narrow', () => {
    const rows = [{ name: 'key_0123456789', size: 7, note: 'a very long remark' }];
    assert.match(renderTable(columns, rows, 5), /key_0123456789 {5}7 {2}a very …/);
  });

  it('counts wide characters as two columns', () => {
    const rows = [
      { name: '模型', size: 1 },
      { name: 'abcd', size: 2 },
    ];
    assert.equal(renderTable(columns.slice(0, 2), rows, undefined), 'NAME  SIZE\n模型     1\nabcd     2\n');
  });
});

describe('values', () => {
  it('prints times as ISO 8601 UTC, whole seconds', () => {
    assert.equal(renderTime(Date.UTC(2026, 0, 31, 12)), '2026-01-31T12:00:00Z');
    assert.equal(renderTime('2026-01-31T13:00:00.250+01:00'), '2026-01-31T12:00:00Z');
    assert.equal(renderTime(null), '-');
  });

  it('prints sizes in binary units', () => {
    assert.deepEqual([0, 1023, 1024, 1_572_864].map(renderBytes), ['0 B', '1023 B', '1.0 KiB', '1.5 MiB']);
  });

  it('names facts in one column', () => {
    assert.equal(
      renderFacts([
        ['id', 'x'],
        ['longer', null],
        ['flag', true],
      ]),
      'id      x\nlonger  -\nflag    yes\n',
    );
  });

  it('takes escape sequences, line breaks and direction marks out of text', () => {
    assert.equal(printable('a\u001b[31mb\u0007c\nd\u202ee'), 'ab\ufffdc\ufffdd\ufffde');
  });
});
