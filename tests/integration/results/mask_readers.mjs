// mask_readers.mjs FOLDER: read every FOLDER/CASE-*.seg.dcm over FOLDER/CASE-*.src.dcm as dwv and as cornerstone3D do.
// Prints a JSON list; each segment's mask is the SHA-256 of its Rows x Columns bytes, 0 or 1. Run it where the packages are.
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

const element = () => ({ getContext: () => null, style: {}, appendChild() {}, addEventListener() {} });
globalThis.window = globalThis.self = globalThis;
globalThis.document = { createElement: element, addEventListener() {}, body: element(), documentElement: element() };
globalThis.addEventListener = () => {};
globalThis.location = { href: 'http://localhost/', search: '' };
console.log = console.warn = console.info = () => {};

const dwv = await import('dwv');
const dcmjs = (await import('dcmjs')).default;
const metadata = await import('@cornerstonejs/metadata');
const { adaptersSEG } = await import('@cornerstonejs/adapters');

const folder = process.argv[2];
const names = fs.readdirSync(folder).sort();
const caseOf = (name) => name.split('-')[0];
const read = (name) => new Uint8Array(fs.readFileSync(path.join(folder, name))).buffer;
const results = [];

function digests(labels) {
  const found = {};
  for (const label of new Set(labels)) {
    if (label) found[label] = crypto.createHash('sha256').update(Uint8Array.from(labels, (v) => (v === label ? 1 : 0))).digest('hex');
  }
  return found;
}

function attempt(viewer, name, view) {
  return Promise.resolve().then(view).then(
    (seen) => results.push({ viewer, name, ...seen }),
    (error) => results.push({ viewer, name, error: String(error.message) }),
  );
}

function parsed(name) {
  const parser = new dwv.DicomParser();
  parser.parse(read(name));
  return parser.getDicomElements();
}

const sources = names.filter((name) => name.endsWith('.src.dcm'));
const dwvSources = new Map(sources.map((name) => [caseOf(name) + parsed(name)['00080018'].value[0], name]));

async function withDwv(name) {
  const elements = parsed(name);
  const uid = elements['00081115'].value[0]['0008114A'].value[0]['00081155'].value[0];
  const image = dwv.createImage(parsed(dwvSources.get(caseOf(name) + uid)));
  const mask = new dwv.MaskFactory().create(elements, elements['7FE00010'].value[0], image);
  const spacing = (one) => [0, 1].map((axis) => one.getGeometry().getSpacing().get(axis));
  return { source: uid, segments: digests(mask.getBuffer()), imageSpacing: spacing(image), maskSpacing: spacing(mask) };
}

// The general image module of @cornerstonejs/metadata 5.14 lacks the UID that the adapters look for in it.
metadata.registerDefaultProviders();
const metadataProvider = {
  ...metadata.metaData,
  get: (type, id) => (type === 'generalImageModule' ? { ...metadata.metaData.get(type, id), ...metadata.metaData.get('sopCommonModule', id) } : metadata.metaData.get(type, id)),
};
const imageIds = {};
for (const name of sources) {
  const id = `wadouri:http://localhost/${name}?frame=1`;
  metadata.utilities.addDicomWebInstance(id, dcmjs.data.DicomMessage.readFile(read(name)).dict);
  (imageIds[caseOf(name)] ??= []).push(id);
}

async function withCornerstone(name) {
  const { labelMapImages } = await adaptersSEG.Cornerstone3D.Segmentation.createFromDICOMSegBuffer(imageIds[caseOf(name)], read(name), { metadataProvider });
  for (const image of labelMapImages.flat()) {
    const labels = image.voxelManager.getScalarData();
    if (labels.some((label) => label)) {
      const source = metadata.metaData.get('sopCommonModule', image.referencedImageId).sopInstanceUID;
      return { source, segments: digests(labels) };
    }
  }
  throw new Error('no label is shown on any image');
}

for (const name of names.filter((one) => one.endsWith('.seg.dcm'))) {
  await attempt('dwv', name, () => withDwv(name));
  await attempt('cornerstone3D', name, () => withCornerstone(name));
}
fs.writeSync(1, JSON.stringify(results));
