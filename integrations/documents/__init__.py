"""Files and folders as notes: Markdown, plain text and chats, imported again by what has changed.

report = import_documents(memory, "notes/", user="ana")
"""

from __future__ import annotations

from agentmem.integrations.documents.importing import DocumentsReport, import_documents

__all__ = ["DocumentsReport", "import_documents"]
