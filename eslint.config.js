import js from '@eslint/js';
import tseslint from 'typescript-eslint';

// tidy.test.ts holds the whole room table; these lines show the same in the editor.
const rooms = {
  engine: ['db', 'migrations', 'ingest', 'api', 'web', 'bench'],
  db: ['engine', 'migrations', 'ingest', 'api', 'web', 'bench'],
  migrations: ['engine', 'ingest', 'api', 'web', 'bench'],
  ingest: ['migrations', 'api', 'web', 'bench'],
  api: ['migrations', 'ingest', 'web', 'bench'],
};

const roomRules = Object.entries(rooms).map(([room, forbidden]) => ({
  files: [`${room}/**/*.ts`],
  ignores: ['**/*.test.ts'],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: forbidden.map((name) => ({
          group: [`**/../${name}/**`],
          message: `${room}/ may not import ${name}/`,
        })),
      },
    ],
  },
}));

export default tseslint.config(
  { ignores: ['dist/**', 'node_modules/**', '.tap/**', '.cache/**'] },
  js.configs.recommended,
  ...tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['eslint.config.js'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true }],
      'max-params': ['error', 5],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            {
              from: 'package',
              package: '@tapjs/test',
              name: ['test', 'before', 'after', 'teardown'],
            },
            {
              from: 'package',
              package: '@tapjs/core',
              name: ['test', 'before', 'after', 'teardown'],
            },
          ],
        },
      ],
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Only config.ts reads the environment.' },
      ],
    },
  },
  {
    files: ['config.ts', '**/*.test.ts', 'scripts/**', 'bench/**'],
    rules: { 'no-restricted-properties': 'off' },
  },
  {
    files: ['**/*.test.ts'],
    rules: { 'max-lines': 'off', 'max-lines-per-function': 'off' },
  },
  ...roomRules,
  { files: ['eslint.config.js'], ...tseslint.configs.disableTypeChecked },
);
