"""What Streamlit writes itself, in the language of the page: in lists, in the place for a file, and back again."""

from __future__ import annotations

from playwright.sync_api import expect

ENGLISH = ("Add: ", "No results", "Drag and drop", "per file", "Upload")


def test_a_list_and_a_place_for_a_file_speak_the_language_of_the_page(screen) -> None:
    screen.open("evaluate", lang="zh", tab="evaluate_from.upload")
    drop = screen.find("[data-testid=stFileUploader]").first
    expect(drop).to_contain_text("每个文件最大 20MB")
    expect(drop).to_contain_text("选择文件")
    box = screen.find("[data-testid=stSidebar] [data-testid=stSelectbox] input").first
    box.click()
    box.type("/tmp/Upload per file")
    expect(screen.find("[role=option]").last).to_have_text("使用：/tmp/Upload per file")  # what was typed is left alone
    assert not [
        word for word in ENGLISH if word in screen.find("body").inner_text().replace("/tmp/Upload per file", "")
    ]
    screen.page.keyboard.press("Escape")
    box.press("Escape")
    screen.pick("ui_language-zh", "English")
    expect(drop).to_contain_text("20MB per file")
    expect(drop).to_contain_text("Upload")
