// Removes what was half made. Not a public header.
#pragma once

namespace cleave {

// Removes `name` in the open folder `folder` and everything below it, as far as that is allowed.
// Follows no symlinks, and does not mind how long paths become.
void remove_tree(int folder, const char* name);

}  // namespace cleave
