// The fields in Japanese.

import type { Words } from "./words";

export const ja: Words = {
  number: "カード番号",
  expiry: "有効期限",
  cvc: "セキュリティコード",
  name: "カード名義人",
  expiryHint: "月 / 年",
  cvcBack: "カード裏面の末尾3桁",
  cvcFront: "カード表面の4桁",
  incomplete_number: "カード番号が最後まで入力されていません。",
  incomplete_expiry: "有効期限が最後まで入力されていません。",
  incomplete_cvc: "セキュリティコードが最後まで入力されていません。",
  incomplete_name: "カードに記載の名義人を入力してください。",
  invalid_number: "カード番号が正しくありません。ご確認ください。",
  invalid_expiry: "有効期限の月と年が正しくありません。",
  invalid_cvc: "セキュリティコードが正しくありません。",
  invalid_name: "カードに印字されているとおりに名義人を入力してください。",
  expired_card: "このカードは有効期限が切れています。別のカードをご利用ください。",
  brand_not_accepted: "この種類のカードはご利用いただけません。",
  card_refused: "このカードは受け付けられませんでした。入力内容をご確認ください。",
  session_expired: "ページを開いてから時間が経ちすぎました。もう一度お試しください。",
  session_used_up: "入力されたカードが多すぎます。ページを再読み込みしてください。",
  network: "接続できません。請求は行われていません。もう一度お試しください。",
  rate_limited: "試行回数が多すぎます。しばらくしてからもう一度お試しください。",
  unavailable: "現在カードを受け付けられません。しばらくしてからもう一度お試しください。",
};
