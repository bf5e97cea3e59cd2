#!/usr/bin/env bash
# Makes tests/data/demo, the small project that `./dev demo` shows: Blender files, textures, a script, a link. Needs Debian's
# blender (3.4). What it makes is committed; run it again only to change the demo.
#
#   project/           version 1: two assets, a shot that links them
#   project-changes/   what version 2 has in place of it: the shot saved anew with one object moved, and a note
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=$PWD/tests/data/demo
rm -rf "$out"
mkdir -p "$out/project/assets" "$out/project/textures" "$out/project/bin" "$out/project-changes"
scripts=$(mktemp -d)
trap 'rm -rf "$scripts"' EXIT

cat > "$scripts/asset.py" <<'PY'
import bpy, sys
name, path = sys.argv[sys.argv.index("--") + 1:]
bpy.ops.wm.read_factory_settings(use_empty=True)
if name == "rock":
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=4)
else:
    bpy.ops.mesh.primitive_cone_add(vertices=48, depth=3)
thing = bpy.context.object
thing.name = thing.data.name = name
material = bpy.data.materials.new(name)
material.use_nodes = True
image = bpy.data.images.new(name, 64, 64)
image.generated_type = 'COLOR_GRID'
image.filepath_raw = bpy.path.abspath("//" + "../textures/%s.png" % name, start=path.rsplit("/", 1)[0])
image.file_format = 'PNG'
image.save()
image.source = 'FILE'
node = material.node_tree.nodes.new('ShaderNodeTexImage')
node.image = image
material.node_tree.links.new(node.outputs['Color'], material.node_tree.nodes['Principled BSDF'].inputs['Base Color'])
thing.data.materials.append(material)
bpy.ops.wm.save_as_mainfile(filepath=path, compress=False, relative_remap=True)
PY
cat > "$scripts/shot.py" <<'PY'
import bpy, sys
path, assets = sys.argv[sys.argv.index("--") + 1:]
bpy.ops.wm.read_factory_settings(use_empty=True)
for name in ("rock", "tree"):
    with bpy.data.libraries.load("%s/%s.blend" % (assets, name), link=True) as (there, here):
        here.objects = [name]
    for i in range(40):
        thing = bpy.data.objects.new("%s%02d" % (name, i), here.objects[0].data)
        thing.location = (i % 8 * 3, i // 8 * 3, 0)
        bpy.context.scene.collection.objects.link(thing)
bpy.ops.wm.save_as_mainfile(filepath=path, compress=False, relative_remap=True)
PY
cat > "$scripts/move.py" <<'PY'
import bpy, sys
bpy.data.objects["rock07"].location.x += 1.5
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[sys.argv.index("--") + 1], compress=False, copy=True)
PY

blend() { blender --background --factory-startup "$@" > "$scripts/log" 2>&1 || { cat "$scripts/log"; exit 1; }; }
for name in rock tree; do
  blend --python "$scripts/asset.py" -- "$name" "$out/project/assets/$name.blend"
done
blend --python "$scripts/shot.py" -- "$out/project/shot.blend" "$out/project/assets"
blend "$out/project/shot.blend" --python "$scripts/move.py" -- "$out/project-changes/shot.blend"
printf '#!/bin/sh\nexec blender -b "$(dirname "$0")/../shot.blend" -a\n' > "$out/project/bin/render"
chmod +x "$out/project/bin/render"
ln -s shot.blend "$out/project/latest.blend"
printf 'Moved rock07.\n' > "$out/project-changes/notes.txt"
rm -f "$out"/project/*.blend1 "$out"/project/assets/*.blend1
du -ab "$out"
