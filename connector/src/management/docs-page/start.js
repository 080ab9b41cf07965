/* global SwaggerUIBundle -- from swagger-ui-bundle.js */
const dark = matchMedia('(prefers-color-scheme: dark)');
const followSystem = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', followSystem);
followSystem();

SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#api',
  deepLinking: true,
  docExpansion: 'list',
  defaultModelsExpandDepth: 0,
  filter: true,
  // It would be kept in the browser's storage.
  persistAuthorization: false,
  // It would be asked at a server of its maker.
  validatorUrl: null,
});
