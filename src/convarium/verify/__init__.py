"""Facts against rows -> verdicts; rows against rows -> differences between two networks.

`convarium.verify(name)` is a public function, and importing any file of this package puts the
package itself under that name: so the package can be called too, with the same result.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convarium.verify.verdict import Verdict


class _CallablePackage(ModuleType):
    def __call__(self, name: str) -> list[Verdict]:
        from convarium.verify.engine import verify

        return verify(name)


sys.modules[__name__].__class__ = _CallablePackage
